// Everything that a training run is given.

import type { CheckpointInfo } from '../checkpoint/info.js';
import type { Config } from '../config/config.js';
import type { Corpus } from '../data/corpus.js';
import type { Row } from '../data/jsonl.js';
import type { EngineSelection } from '../engine/select.js';
import type { CoordinatorOptions } from '../parallel/coordinator.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

export interface TrainInputs {
  readonly config: Config;
  /** The configuration as checkpoints record it: snake_case. */
  readonly configRecord: CheckpointInfo['config'];
  readonly selection: EngineSelection;
  readonly workers: number;
  readonly tokenizer: Tokenizer;
  readonly tokenizerJson: string;
  readonly train: Corpus;
  readonly validation: Corpus;
  readonly validationRows: readonly Row[];
  /** Continue from save_dir/last. */
  readonly resume: boolean;
  /** Validation prompts to answer after each evaluation; 0: none, which saves their time. */
  readonly samplePrompts: number;
  /** What one core can do at most, in the precision of the engine; null where it isn't known. */
  readonly corePeakGflops: number | null;
  /**
   * Resolves when the record of all events so far is safe on the device. Awaited before a checkpoint that tells of a step takes
   * the place of an older one: after a power cut the record reaches at least as far as the checkpoint.
   */
  readonly syncRecord?: () => Promise<void>;
  /** For tests of what happens when workers fail. */
  readonly team?: CoordinatorOptions['team'];
}
