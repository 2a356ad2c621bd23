// config.json of a checkpoint: the settings of the run as config.yaml spells them, and what these weights are.

import { CheckpointError } from '../errors.js';
import type { ModelShape } from '../model/shape.js';
import {
  damaged,
  describe,
  integerField,
  type JsonObject,
  numberOrNullField,
  objectField,
  parseJsonObject,
  textField,
} from './json.js';
import { MAX_TENSORS } from './safetensors.js';

export interface CheckpointInfo {
  /** Optimiser steps behind these weights. */
  readonly step: number;
  /** Mean cross-entropy per token in nats: of that step's batch, and of the evaluation these weights had, if any. */
  readonly trainLoss: number | null;
  readonly evalLoss: number | null;
  readonly vocabSize: number;
  /** Resolved settings in snake_case; section `model` holds n_layer, n_head, n_embd and seq_len. */
  readonly config: JsonObject;
}

export interface ParsedInfo {
  readonly info: CheckpointInfo;
  readonly shape: ModelShape;
  readonly isQuantized: boolean;
}

export const FORMAT_VERSION = 1;

const QUANTIZATION = { bits: 8, scheme: 'symmetric_per_row' } as const;

/** Bounds what a hostile file can make others allocate; far above what is trained here. */
const MAX_SEQ_LEN = 1 << 16;
/** The moments are 20 tensors a block and 4 more; a file with more than MAX_TENSORS can't be read. */
const MAX_LAYERS = Math.floor((MAX_TENSORS - 4) / 20);

/** The object that becomes config.json. */
export function describeCheckpoint(info: CheckpointInfo, isQuantized: boolean): JsonObject {
  return {
    format_version: FORMAT_VERSION,
    step: info.step,
    train_loss: info.trainLoss,
    eval_loss: info.evalLoss,
    vocab_size: info.vocabSize,
    ...(isQuantized ? { quantization: QUANTIZATION } : {}),
    ...info.config,
  };
}

/** Throws CheckpointError for a missing or wrong field. `file` names it in messages. */
export function parseInfo(text: string, file: string): ParsedInfo {
  const json = parseJsonObject(text, file);
  checkVersion(json, file);
  const { format_version, step, train_loss, eval_loss, vocab_size, quantization, ...config } = json;
  const info: CheckpointInfo = {
    step: integerField(json, 'step', 0, file),
    trainLoss: numberOrNullField(json, 'train_loss', file),
    evalLoss: numberOrNullField(json, 'eval_loss', file),
    vocabSize: integerField(json, 'vocab_size', 1, file),
    config,
  };
  return { info, shape: shapeOf(info, file), isQuantized: isQuantizedIn(json, file) };
}

/** Throws CheckpointError for a version this program doesn't know. */
export function checkVersion(json: JsonObject, file: string): void {
  const version = integerField(json, 'format_version', 1, file);
  if (version === FORMAT_VERSION) return;
  throw new CheckpointError(
    `${file} has format version ${version}, but this program reads version ${FORMAT_VERSION}.\n` +
      '  Use the version of gpt-loom that wrote it, or a newer one.',
  );
}

function shapeOf({ config, vocabSize }: CheckpointInfo, file: string): ModelShape {
  const model = objectField(config, 'model', file);
  const nLayer = integerField(model, 'n_layer', 1, file);
  const nHead = integerField(model, 'n_head', 1, file);
  const nEmbd = integerField(model, 'n_embd', 1, file);
  const seqLen = integerField(model, 'seq_len', 1, file);
  if (nLayer > MAX_LAYERS) throw damaged(file, `"n_layer" is ${nLayer}, more than ${MAX_LAYERS}`);
  if (seqLen > MAX_SEQ_LEN) throw damaged(file, `"seq_len" is ${seqLen}, more than ${MAX_SEQ_LEN}`);
  if (nEmbd % (2 * nHead) !== 0) {
    throw damaged(file, `"n_embd" is ${nEmbd}, which ${nHead} heads can't share in even parts`);
  }
  return { nLayer, nHead, nEmbd, seqLen, vocabSize };
}

function isQuantizedIn(json: JsonObject, file: string): boolean {
  if (!Object.hasOwn(json, 'quantization')) return false;
  const quantization = objectField(json, 'quantization', file);
  const bits = integerField(quantization, 'bits', 1, file);
  const scheme = textField(quantization, 'scheme', file);
  if (bits === QUANTIZATION.bits && scheme === QUANTIZATION.scheme) return true;
  throw damaged(file, `quantization is ${bits} bits ${describe(scheme)}, expected 8 bits "${QUANTIZATION.scheme}"`);
}
