// A small but real training run for tests: tiny model, a few rows, tokenizer trained on them, a folder of its own.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configFromObject, configToYamlObject } from '../../src/config/load.js';
import { createCorpus } from '../../src/data/corpus.js';
import { loadRows } from '../../src/data/jsonl.js';
import { formatPrompt } from '../../src/data/template.js';
import { selectEngine } from '../../src/engine/select.js';
import { parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainBpe } from '../../src/tokenizer/train.js';
import type { EvaluationEvent, StepEvent, TrainEvent } from '../../src/trainer/events.js';
import { startTraining, type TrainInputs, type TrainingRun } from '../../src/trainer/trainer.js';

const SUBJECTS = ['天空', '大海', '草地', '雪', '煤', '血', '柠檬', '橙子', '葡萄', '云', '夜晚', '太阳'];
const COLOURS = ['蓝色', '深蓝色', '绿色', '白色', '黑色', '红色', '黄色', '橙色', '紫色', '灰白色', '漆黑', '金色'];
const WORDINGS = ['%是什么颜色？', '请问%的颜色', '%看上去是什么颜色的呢'];

/** Rows of a small world: every subject asked in three ways, one row twice. */
export const ROWS = SUBJECTS.flatMap((subject, i) =>
  WORDINGS.map((wording) => ({ prompt: wording.replace('%', subject), completion: `${subject}是${COLOURS[i]}的。` })),
).concat({ prompt: '天空是什么颜色？', completion: '天空是蓝色的。' });

export interface RunOptions {
  readonly workers?: number;
  readonly resume?: boolean;
  readonly training?: Record<string, unknown>;
  readonly model?: Record<string, unknown>;
}

const temporaryFolders: string[] = [];
process.on('exit', () => {
  for (const folder of temporaryFolders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that goes when the test process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gpt-loom-test-'));
  temporaryFolders.push(folder);
  return folder;
}

export function testInputs(saveDir: string, options: RunOptions = {}): TrainInputs {
  const data = join(saveDir, 'data.jsonl');
  writeFileSync(data, ROWS.map((row) => JSON.stringify(row)).join('\n'));
  const config = configFromObject(
    {
      model: { n_layer: 2, n_head: 2, n_embd: 48, seq_len: 48, ...options.model },
      training: {
        batch_size: 8,
        micro_batch: 2,
        lr: 3e-3,
        max_steps: 30,
        warmup_steps: 3,
        eval_interval: 10,
        save_interval: 1000,
        save_dir: saveDir,
        ...options.training,
      },
    },
    'test',
  );
  const texts = ROWS.flatMap(({ prompt, completion }) => [formatPrompt(prompt), completion]);
  const tokenizerJson = JSON.stringify(trainBpe(texts, { vocabSize: 400 }));
  const tokenizer = parseTokenizer(tokenizerJson, 'test');
  const rows = loadRows(data);
  const corpus = createCorpus(rows, tokenizer, config.model.seqLen);
  return {
    config,
    configRecord: configToYamlObject(config),
    selection: selectEngine('native', 'fp32'),
    workers: options.workers ?? 2,
    tokenizer,
    tokenizerJson,
    train: corpus,
    validation: corpus,
    validationRows: rows,
    resume: options.resume ?? false,
    samplePrompts: 0,
    corePeakGflops: 100,
  };
}

/** Runs to the end; `watch` sees each event and may use the run's control. */
export async function runToEnd(
  inputs: TrainInputs,
  watch: (event: TrainEvent, run: TrainingRun) => void = () => {},
): Promise<TrainEvent[]> {
  const run = startTraining(inputs);
  const events: TrainEvent[] = [];
  for await (const event of run.events) {
    events.push(event);
    watch(event, run);
  }
  return events;
}

export const stepsOf = (events: readonly TrainEvent[]): StepEvent[] => events.filter((e) => e.type === 'step');
export const evaluationsOf = (events: readonly TrainEvent[]): EvaluationEvent[] =>
  events.filter((e) => e.type === 'evaluation');
