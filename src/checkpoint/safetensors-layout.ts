// Lays out and hands out a safetensors file (format: safetensors.ts) piece by piece, so that it can be written in the background.

import { CheckpointError, NonFiniteError } from '../errors.js';
import type { NamedWeights, WeightTensor } from '../model/weights.js';
import { findNonFinite } from './finite.js';
import {
  DTYPE_BYTES,
  LENGTH_BYTES,
  MAX_FILE_BYTES,
  MAX_HEADER_BYTES,
  MAX_TENSORS,
  SCALE_SUFFIX,
} from './safetensors.js';

export interface SafetensorsLayout {
  readonly header: Uint8Array;
  /** Of the whole file. */
  readonly bytes: number;
  /** The file in order. Throws NonFiniteError before it hands out a NaN or an infinity. */
  chunks(): Generator<Uint8Array>;
}

/** The data section starts at a multiple of this. */
const DATA_ALIGNMENT = 64;
/** Elements that are checked and handed out at a time: small enough for the cache, and for a responsive event loop. */
const CHUNK_LENGTH = 1 << 16;

/** Lays out a file; nothing is copied until the chunks are taken. Throws CheckpointError beyond the limits that reading has. */
export function layoutSafetensors(tensors: NamedWeights): SafetensorsLayout {
  const parts = [...tensors].flatMap(([name, tensor]) => partsOf(name, tensor));
  parts.sort((a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]); // Stable; wide types first keep every tensor aligned.
  // `format` tells Hugging Face transformers that layouts are PyTorch's.
  const entries: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const { name, dtype, shape, data } of parts) {
    const begin = end;
    end += data.byteLength;
    entries[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const header = encodeHeader(JSON.stringify(entries));
  const bytes = header.length + end;
  if (header.length - LENGTH_BYTES > MAX_HEADER_BYTES || parts.length > MAX_TENSORS || bytes > MAX_FILE_BYTES) {
    throw new CheckpointError(
      `The model is too large for a checkpoint: ${parts.length} tensors, ${bytes} bytes; ` +
        `the limits are ${MAX_TENSORS} and ${MAX_FILE_BYTES}.\n  Use a smaller model: n_layer and n_embd in config.yaml.`,
    );
  }
  return { header, bytes, chunks: () => chunksOf(header, parts) };
}

interface Part {
  readonly name: string;
  readonly dtype: 'F32' | 'I8';
  readonly shape: readonly number[];
  readonly data: Float32Array | Int8Array;
}

function partsOf(name: string, tensor: WeightTensor): Part[] {
  const { shape, data } = tensor;
  if (tensor.kind === 'f32') return [{ name, dtype: 'F32', shape, data }];
  const scale: Part = { name: name + SCALE_SUFFIX, dtype: 'F32', shape: [tensor.scales.length], data: tensor.scales };
  return [{ name, dtype: 'I8', shape, data }, scale];
}

/** Spaces after the JSON are part of the format: they align the data. */
function encodeHeader(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const bytes = Math.ceil((LENGTH_BYTES + text.length) / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  const header = new Uint8Array(bytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(bytes - LENGTH_BYTES), true);
  header.set(text, LENGTH_BYTES);
  return header;
}

function* chunksOf(header: Uint8Array, parts: readonly Part[]): Generator<Uint8Array> {
  yield header;
  for (const { name, data } of parts) {
    for (let i = 0; i < data.length; i += CHUNK_LENGTH) {
      const chunk = data.subarray(i, i + CHUNK_LENGTH);
      const bad = chunk instanceof Float32Array ? findNonFinite(chunk) : -1;
      if (bad >= 0) {
        throw new NonFiniteError(
          `Tensor ${name} holds ${chunk[bad]} at element ${i + bad}, so it isn't saved: a checkpoint holds finite numbers only.\n` +
            '  Go on from the last checkpoint with a smaller training.lr.',
        );
      }
      yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
  }
}
