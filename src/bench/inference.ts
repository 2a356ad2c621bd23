// How fast answers come, in FP32 and with int8 weights: one at a time, by the generator that `infer` uses, sampling included.
// The weights are random: what they are makes no difference to the time.

import { collectWeights } from '../checkpoint/fit.js';
import { quantizeWeights } from '../checkpoint/quantize.js';
import { encodePrompt } from '../data/template.js';
import type { InferenceEngine } from '../engine/engine.js';
import { createInferenceEngine, type EngineSelection } from '../engine/select.js';
import { initializeWeights } from '../model/init.js';
import { createParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { NamedWeights } from '../model/weights.js';
import { type GenerateEndEvent, generate } from '../sampling/generate.js';
import { DEFAULT_GENERATE_OPTIONS } from '../sampling/options.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { median } from '../tune/statistics.js';
import type { InferenceFigures } from './report.js';

export interface InferenceRun {
  readonly selection: EngineSelection;
  readonly shape: ModelShape;
  readonly tokenizer: Tokenizer;
  readonly prompt: string;
  readonly answers: number;
  /** Called before each answer; may throw to end the measurement. */
  readonly onPart: () => Promise<void>;
}

export function randomWeights(shape: ModelShape): NamedWeights {
  const table = createParameterTable(shape);
  const flat = new Float32Array(table.flatLength);
  initializeWeights(table, 0, flat);
  return collectWeights(flat, table);
}

export async function measureInference(run: InferenceRun): Promise<InferenceFigures[]> {
  const { selection, shape } = run;
  const weights = randomWeights(shape);
  const figures: InferenceFigures[] = [];
  for (const kind of ['fp32', 'int8'] as const) {
    const used = kind === 'fp32' ? weights : quantizeWeights(weights, createParameterTable(shape));
    const engine = await createInferenceEngine(selection, shape, used);
    try {
      figures.push({ weights: kind, ...(await measureAnswers(engine, run)) });
    } finally {
      engine.close();
    }
  }
  return figures;
}

async function measureAnswers(
  engine: InferenceEngine,
  { tokenizer, prompt, answers, onPart }: InferenceRun,
): Promise<Omit<InferenceFigures, 'weights'>> {
  const ends: GenerateEndEvent[] = [];
  // The first one warms up and isn't counted.
  for (let i = 0; i <= answers; i++) {
    await onPart();
    ends.push(await answerToTheEnd(engine, tokenizer, prompt));
  }
  const counted = ends.slice(1);
  const [{ promptTokens, tokens }] = counted;
  return {
    promptTokens,
    answerTokens: tokens,
    prefillTokensPerSec: 1000 * median(counted.map((end) => end.promptTokens / end.prefillMs)),
    decodeTokensPerSec: 1000 * median(counted.map((end) => end.decodedTokens / end.decodeMs)),
  };
}

/** Greedy, to the end of the model's sequence: an end of the answer before that is ruled out. */
async function answerToTheEnd(
  engine: InferenceEngine,
  tokenizer: Tokenizer,
  prompt: string,
): Promise<GenerateEndEvent> {
  const { seqLen } = engine.shape;
  const options = { ...DEFAULT_GENERATE_OPTIONS, maxNewTokens: seqLen, minTokens: seqLen };
  for await (const event of generate(engine, tokenizer, prompt, options)) {
    if (event.type === 'end') return event;
  }
  throw new Error('the answer had no end');
}

/** The beginning of the texts, one after the other, that takes about half of the model's sequence with its frame. */
export function promptOfHalf(texts: Iterable<string>, tokenizer: Tokenizer, seqLen: number): string {
  let prompt = '';
  for (const text of texts) {
    for (const character of text) {
      const longer = prompt + character;
      if (prompt !== '' && encodePrompt(tokenizer, longer).length > seqLen / 2) return prompt;
      prompt = longer;
    }
  }
  return prompt;
}
