// Models that are too large, refused before anything is allocated.

import { LENGTH_BYTES, MAX_FILE_BYTES, MAX_HEADER_BYTES } from '../../checkpoint/safetensors.js';
import type { Config } from '../../config/config.js';
import { ConfigError } from '../../errors.js';
import { trainingBytes } from '../../model/memory.js';
import { createParameterTable } from '../../model/parameters.js';

/** A file of the checkpoint holds both moments of each, 4 bytes long. */
const MAX_PARAMETERS = (MAX_FILE_BYTES - MAX_HEADER_BYTES - LENGTH_BYTES) / 8;

/** `memory`: bytes that the machine has. Better said here than by the system, or by the first save, in the middle of the run. */
export function checkSize(
  { model, training }: Pick<Config, 'model' | 'training'>,
  vocabSize: number,
  memory: number,
): void {
  const shape = { ...model, vocabSize };
  const { count } = createParameterTable(shape);
  if (count > MAX_PARAMETERS) {
    const millions = (n: number) => `${Math.floor(n / 1e6)} million`;
    throw new ConfigError(
      `This model has ${millions(count)} parameters, too many for a checkpoint: expected at most ${millions(MAX_PARAMETERS)}.\n` +
        '  Use a smaller model.n_embd or model.n_layer, or a tokenizer with fewer tokens.',
    );
  }
  const needed = trainingBytes(shape, training.batchSize / training.microBatch);
  if (needed < memory) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new ConfigError(
    `This model needs at least ${gigabytes(needed)} of memory to train, and the machine has ${gigabytes(memory)}.\n` +
      '  Use a smaller model.n_embd or model.n_layer, or a larger training.micro_batch: each micro-batch has a gradient of its own.',
  );
}
