// The safetensors format, https://github.com/huggingface/safetensors: 8 bytes header length (u64, little-endian), a JSON header
// name -> { dtype, shape, data_offsets }, then the tensors' bytes without gaps. This reads it, and trusts nothing the file says.
//
// int8 weights: tensor `x` is I8 [rows, columns], and F32 `x.scale` [rows] lies beside it; x[r][c] * scale[r] is the weight.

import type { WeightTensor } from '../model/weights.js';
import { findDuplicateKey } from './duplicate-keys.js';
import { findNonFinite } from './finite.js';
import { bf16ToF32Bits, f16ToF32Bits } from './half-floats.js';
import { damaged, describe, isObject, parseJsonObject } from './json.js';

/** Where a tensor lies: bytes `begin` to `end` of the data section. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

type Dtype = keyof typeof DTYPE_BYTES;

export const DTYPE_BYTES = { F32: 4, F16: 2, BF16: 2, I8: 1 } as const;

/** Of the header's length, before the header. */
export const LENGTH_BYTES = 8;
export const MAX_HEADER_BYTES = 1 << 20;
export const MAX_TENSORS = 10_000;
/** 2 GiB: beyond what a CPU trains, and well within what one buffer holds. */
export const MAX_FILE_BYTES = 2 ** 31;
/** Scales of int8 tensor `x` are stored as `x` + this. */
export const SCALE_SUFFIX = '.scale';

/**
 * Reads a whole file in memory. F32 and I8 tensors are views of it where alignment allows; F16 and BF16 become f32.
 * Throws CheckpointError for anything malformed or not finite. `file` names it in messages.
 */
export function parseSafetensors(bytes: Uint8Array, file: string): Map<string, WeightTensor> {
  const headerBytes = parseHeaderLength(bytes.subarray(0, LENGTH_BYTES), bytes.length, file);
  const data = bytes.subarray(LENGTH_BYTES + headerBytes);
  const stored = parseHeader(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + headerBytes), data.length, file);
  return decodeTensors(stored, data, file);
}

/** Checks and returns the length of the JSON header, given the file's first 8 bytes and its size. */
export function parseHeaderLength(prefix: Uint8Array, fileBytes: number, file: string): number {
  if (prefix.length < LENGTH_BYTES || fileBytes < LENGTH_BYTES + 2) {
    throw damaged(file, `it has ${fileBytes} bytes, too few for a header`);
  }
  if (fileBytes > MAX_FILE_BYTES) throw damaged(file, `it has ${fileBytes} bytes, more than ${MAX_FILE_BYTES}`);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    throw damaged(file, `its header claims ${length} bytes, more than ${MAX_HEADER_BYTES}`);
  }
  if (length > fileBytes - LENGTH_BYTES) {
    throw damaged(file, `its header claims ${length} bytes, but only ${fileBytes - LENGTH_BYTES} follow`);
  }
  return Number(length);
}

/** Checks the JSON header against the number of bytes after it. In the order of the data. */
export function parseHeader(header: Uint8Array, dataBytes: number, file: string): StoredTensor[] {
  const text = decodeUtf8(header, file);
  const entries = parseJsonObject(text, file);
  const duplicate = findDuplicateKey(text);
  if (duplicate !== null) throw damaged(file, `its header has the key ${describe(duplicate)} twice`);
  const names = Object.keys(entries).filter((name) => name !== '__metadata__');
  if (names.length > MAX_TENSORS) throw damaged(file, `it has ${names.length} tensors, more than ${MAX_TENSORS}`);
  const stored = names.map((name) => parseEntry(name, entries[name], dataBytes, file));
  stored.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(stored, dataBytes, file);
  return stored;
}

/** Turns the data section into weights: int8 tensors get their scales, every number is checked to be finite. */
export function decodeTensors(
  stored: readonly StoredTensor[],
  data: Uint8Array,
  file: string,
): Map<string, WeightTensor> {
  const byName = new Map(stored.map((entry) => [entry.name, entry]));
  const tensors = new Map<string, WeightTensor>();
  for (const entry of stored) {
    const { name, shape } = entry;
    if (entry.dtype === 'I8') {
      const scales = floatsOf(scaleOf(entry, byName, file), data, file);
      tensors.set(name, { kind: 'int8', shape, data: bytesOf(entry, data, file), scales });
    } else if (!isScale(entry, byName)) {
      tensors.set(name, { kind: 'f32', shape, data: floatsOf(entry, data, file) });
    }
  }
  return tensors;
}

function decodeUtf8(header: Uint8Array, file: string): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
    if (text.startsWith('{')) return text;
  } catch (cause) {
    throw damaged(file, 'its header is not UTF-8', cause);
  }
  throw damaged(file, 'its header does not start with {');
}

function parseEntry(name: string, entry: unknown, dataBytes: number, file: string): StoredTensor {
  const wrong = (problem: string) => damaged(file, `tensor ${describe(name)} ${problem}`);
  if (!isObject(entry)) throw wrong(`is ${describe(entry)}, expected an object`);
  const unknown = Object.keys(entry).find((key) => key !== 'dtype' && key !== 'shape' && key !== 'data_offsets');
  if (unknown !== undefined) throw wrong(`has the unknown field ${describe(unknown)}`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) {
    throw wrong(`has dtype ${describe(dtype)}, expected one of ${Object.keys(DTYPE_BYTES).join(', ')}`);
  }
  if (!isCounts(shape)) throw wrong(`has shape ${describe(shape)}, expected a list of integers from 0 up`);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1] || offsets[1] > dataBytes) {
    throw wrong(`has data_offsets ${describe(offsets)}, expected [begin, end] within the ${dataBytes} bytes of data`);
  }
  const [begin, end] = offsets;
  const bytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
  if (bytes !== end - begin) {
    throw wrong(
      `of shape ${describe(shape)} in ${dtype} needs ${bytes} bytes, but its data_offsets give ${end - begin}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function isDtype(value: unknown): value is Dtype {
  return typeof value === 'string' && Object.hasOwn(DTYPE_BYTES, value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

/** No gap, no overlap, nothing left over: every byte of the file belongs to exactly one tensor. */
function checkCoverage(stored: readonly StoredTensor[], dataBytes: number, file: string): void {
  let end = 0;
  for (const { name, begin, end: next } of stored) {
    if (begin !== end) {
      throw damaged(
        file,
        `tensor ${describe(name)} starts at byte ${begin} of the data, but the one before ends at ${end}`,
      );
    }
    end = next;
  }
  if (end !== dataBytes) {
    throw damaged(file, `its tensors cover ${end} bytes, but ${dataBytes} bytes of data are there`);
  }
}

function scaleOf(entry: StoredTensor, byName: ReadonlyMap<string, StoredTensor>, file: string): StoredTensor {
  const scale = byName.get(entry.name + SCALE_SUFFIX);
  const rows = entry.shape[0];
  if (entry.shape.length === 2 && scale?.dtype === 'F32' && scale.shape.length === 1 && scale.shape[0] === rows) {
    return scale;
  }
  const found = scale === undefined ? 'none' : `${scale.dtype} ${describe(scale.shape)}`;
  throw damaged(
    file,
    `int8 tensor ${describe(entry.name)} ${describe(entry.shape)} needs F32 scales, one a row, in ` +
      `${describe(entry.name + SCALE_SUFFIX)}; found ${found}`,
  );
}

export function isScale(entry: StoredTensor, byName: ReadonlyMap<string, StoredTensor>): boolean {
  return entry.name.endsWith(SCALE_SUFFIX) && byName.get(entry.name.slice(0, -SCALE_SUFFIX.length))?.dtype === 'I8';
}

function bytesOf({ name, begin, end }: StoredTensor, data: Uint8Array, file: string): Int8Array {
  const bytes = new Int8Array(data.buffer, data.byteOffset + begin, end - begin);
  if (bytes.includes(-128)) {
    throw damaged(file, `int8 tensor ${describe(name)} holds -128, outside the symmetric range`);
  }
  return bytes;
}

function floatsOf(entry: StoredTensor, data: Uint8Array, file: string): Float32Array {
  const floats = widen(entry, data.subarray(entry.begin, entry.end));
  const bad = findNonFinite(floats);
  if (bad >= 0) throw damaged(file, `tensor ${describe(entry.name)} holds ${floats[bad]} at element ${bad}`);
  return floats;
}

function widen({ dtype }: StoredTensor, bytes: Uint8Array): Float32Array {
  if (dtype === 'F32') {
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
    return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const decode = dtype === 'BF16' ? bf16ToF32Bits : f16ToF32Bits;
  const bits = Uint32Array.from({ length: bytes.length / 2 }, (_, i) => decode(view.getUint16(2 * i, true)));
  return new Float32Array(bits.buffer);
}
