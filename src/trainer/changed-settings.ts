// What a resumed run finds changed in its settings: some changes break it, some change what comes, some don't matter.

import type { CheckpointInfo } from '../checkpoint/info.js';

export interface ChangedSettings {
  /** Each as `training.lr (0.001 then, 0.0005 now)`. The weights fit no more, or would mean something else. */
  readonly shape: readonly string[];
  /** The samples would come in another order. */
  readonly order: readonly string[];
  /** The run goes on, but not as the uninterrupted one would have. */
  readonly notable: readonly string[];
}

type Settings = CheckpointInfo['config'];

/** Data, tokenizer and seed are compared by themselves. */
const SHAPE = ['model.n_layer', 'model.n_head', 'model.n_embd'];
const ORDER = ['training.batch_size', 'data.shuffle'];
/** They change no number of the run, or are compared by what they lead to. */
const NEUTRAL = [
  'model.seq_len',
  'training.threads',
  'training.save_dir',
  'training.save_interval',
  'training.init_from',
  'training.seed',
  'data.train_path',
  'data.val_path',
  'tokenizer.path',
  'tokenizer.vocab_size',
];

/** Settings are sections of keys, as config.yaml spells them. A key that one side doesn't have is left alone. */
export function compareSettings(then: Settings, now: Settings): ChangedSettings {
  const before = flatten(then);
  const changed = [...flatten(now)].filter(([key, value]) => {
    return before.has(key) && before.get(key) !== value && !NEUTRAL.includes(key);
  });
  const describe = (isMeant: (key: string) => boolean) =>
    changed.filter(([key]) => isMeant(key)).map(([key, value]) => `${key} (${before.get(key)} then, ${value} now)`);
  return {
    shape: describe((key) => SHAPE.includes(key)),
    order: describe((key) => ORDER.includes(key)),
    notable: describe((key) => !SHAPE.includes(key) && !ORDER.includes(key)),
  };
}

/** Dotted keys to their values as JSON. */
function flatten(settings: Settings): Map<string, string> {
  const entries = Object.entries(settings).flatMap(([section, value]): [string, string][] => {
    if (typeof value !== 'object' || value === null) return [[section, JSON.stringify(value)]];
    return Object.entries(value).map(([key, item]) => [`${section}.${key}`, JSON.stringify(item)]);
  });
  return new Map(entries);
}
