import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSafetensors } from '../../src/checkpoint/safetensors.js';
import { layoutSafetensors } from '../../src/checkpoint/safetensors-layout.js';
import { CheckpointError } from '../../src/errors.js';
import type { WeightTensor } from '../../src/model/weights.js';
import { fixture } from '../helpers/paths.js';

type Header = Record<string, unknown>;

/** A file with this header and so many bytes of data, as other programs might write it. */
function fileOf(header: Header | string, dataBytes = 0): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

function f32(begin: number, end: number, shape = [(end - begin) / 4]): Header {
  return { dtype: 'F32', shape, data_offsets: [begin, end] };
}

function written(tensors: ReadonlyMap<string, WeightTensor>): Buffer {
  const { bytes, chunks } = layoutSafetensors(tensors);
  const file = Buffer.concat([...chunks()]);
  assert.equal(file.length, bytes);
  return file;
}

const TENSORS = new Map<string, WeightTensor>([
  ['a', { kind: 'int8', shape: [3, 1], data: Int8Array.of(1, -2, 127), scales: Float32Array.of(0.5, 0, 2) }],
  ['b', { kind: 'f32', shape: [2, 2], data: Float32Array.of(1, -0, 1e-40, 3e38) }],
  ['c', { kind: 'f32', shape: [0], data: new Float32Array() }],
]);

test('safetensors: reads what the Python library wrote, every dtype and an empty tensor included', () => {
  const expected = JSON.parse(readFileSync(fixture('checkpoint/python.json'), 'utf8')) as Record<
    string,
    { shape: number[]; values: number[] }
  >;
  const tensors = parseSafetensors(readFileSync(fixture('checkpoint/python.safetensors')), 'python');
  assert.deepEqual([...tensors.keys()].sort(), ['bf16', 'empty', 'f16', 'f32', 'odd', 'scalar']);
  for (const [name, { shape, data }] of tensors) {
    assert.deepEqual({ shape, values: [...data] }, expected[name], name);
  }
  const odd = tensors.get('odd')!;
  assert.ok(odd.kind === 'int8');
  assert.deepEqual([...odd.scales], expected['odd.scale'].values);
});

test('safetensors: writes the bytes that the format prescribes', () => {
  const file = written(TENSORS);
  const json =
    '{"__metadata__":{"format":"pt"},"a.scale":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},' +
    '"b":{"dtype":"F32","shape":[2,2],"data_offsets":[12,28]},"c":{"dtype":"F32","shape":[0],"data_offsets":[28,28]},' +
    '"a":{"dtype":"I8","shape":[3,1],"data_offsets":[28,31]}}';
  // 8 + 260 bytes fill 5 lines of 64 bytes, the rest of the header is spaces.
  assert.equal(json.length, 260);
  assert.equal(file.readBigUInt64LE(0), 312n);
  assert.equal(file.toString('utf8', 8, 320), json.padEnd(312));
  const data = new Float32Array([0.5, 0, 2, 1, -0, 1e-40, 3e38]);
  assert.deepEqual(file.subarray(320), Buffer.concat([Buffer.from(data.buffer), Buffer.of(1, 0xfe, 127)]));
});

test('safetensors: reads its own files, wherever in memory they start', () => {
  for (const shift of [0, 1, 2, 3]) {
    const file = Buffer.concat([Buffer.alloc(shift), written(TENSORS)]).subarray(shift);
    const tensors = parseSafetensors(new Uint8Array(file), 'own');
    assert.deepEqual(new Map([...tensors].sort()), TENSORS);
    assert.deepEqual(new Map([...parseSafetensors(file, 'own')].sort()), TENSORS);
  }
});

test('safetensors: refuses every malformed header, and says what is wrong', () => {
  const long = { ...f32(0, 8), extra: 1 };
  const many = Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`t${i}`, f32(0, 0)]));
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(9), /it has 9 bytes, too few for a header/],
    [Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d), /its header claims 3 bytes, but only 2 follow/],
    [Uint8Array.of(1, 0, 16, 0, 0, 0, 0, 0, 0x7b, 0x7d), /its header claims 1048577 bytes, more than 1048576/],
    [new Uint8Array(10).fill(255), /its header claims 18446744073709551615 bytes, more than/],
    [fileOf(' {}'), /its header does not start with \{/],
    [fileOf('\ufeff{}'), /its header does not start with \{/],
    [Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff, 0x7d), /its header is not UTF-8/],
    [fileOf('{"a":'), /it is not JSON/],
    [fileOf(`{"a":${'['.repeat(500_000)}${']'.repeat(500_000)}}`), /tensor "a" is a list of 1, expected an object/],
    [fileOf('{"a":1,"b":2,"\\u0061":3}'), /its header has the key "a" twice/],
    [fileOf('{"a":{"dtype":"F32","shape":[],"shape":[1]}}'), /its header has the key "shape" twice/],
    [fileOf(many), /it has 10001 tensors, more than 10000/],
    [fileOf({ a: null }), /tensor "a" is null, expected an object/],
    [fileOf({ a: long }, 8), /tensor "a" has the unknown field "extra"/],
    [fileOf('{"a":{"__proto__":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}}', 4), /unknown field "__proto__"/],
    [
      fileOf({ a: { ...f32(0, 8), dtype: 'F64' } }, 8),
      /tensor "a" has dtype "F64", expected one of F32, F16, BF16, I8/,
    ],
    [fileOf({ a: { ...f32(0, 8), dtype: 'constructor' } }, 8), /has dtype "constructor"/],
    [fileOf({ a: f32(0, 8, [-2]) }, 8), /has shape \[-2\], expected a list of integers from 0 up/],
    [fileOf({ a: f32(0, 8, [2.5]) }, 8), /has shape \[2\.5\]/],
    [fileOf({ a: f32(0, 8, [2 ** 53]) }, 8), /has shape \[9007199254740992\], expected/],
    [
      fileOf({ a: f32(0, 8, [2 ** 40, 2 ** 40]) }, 8),
      /needs 4\.835703278458517e\+24 bytes, but its data_offsets give 8/,
    ],
    [fileOf({ a: f32(0, 12) }, 8), /has data_offsets \[0, 12\], expected \[begin, end\] within the 8 bytes of data/],
    [fileOf({ a: f32(8, 4, [1]) }, 8), /has data_offsets \[8, 4\]/],
    [
      fileOf({ a: f32(0, 4), b: f32(8, 12) }, 12),
      /tensor "b" starts at byte 8 of the data, but the one before ends at 4/,
    ],
    [
      fileOf({ a: f32(0, 8), b: f32(4, 12) }, 12),
      /tensor "b" starts at byte 4 of the data, but the one before ends at 8/,
    ],
    [fileOf({ a: f32(0, 4), b: f32(0, 4) }, 4), /tensor "b" starts at byte 0 of the data/],
    [fileOf({ a: f32(0, 8) }, 9), /its tensors cover 8 bytes, but 9 bytes of data are there/],
    [
      fileOf({ a: { dtype: 'I8', shape: [2, 4], data_offsets: [0, 8] } }, 8),
      /needs F32 scales, one a row, in "a\.scale"; found none/,
    ],
    [fileOf({ a: { dtype: 'I8', shape: [1, 4], data_offsets: [0, 4] }, 'a.scale': f32(4, 12) }, 12), /found F32 \[2\]/],
    [fileOf({ ['\u001b[2J'.repeat(99)]: 1 }), /tensor "(\\u001b\[2J){8}[^\n]{0,9}… is 1, expected an object/],
  ];
  for (const [file, message] of cases) {
    assert.throws(() => parseSafetensors(file, 'x.safetensors'), { name: 'CheckpointError', message });
  }
});

test('safetensors: refuses NaN, infinity and int8 -128 among the numbers', () => {
  const bytesOf = (header: Header, data: ArrayBufferView) => {
    const file = fileOf(header, data.byteLength);
    file.set(new Uint8Array(data.buffer), file.length - data.byteLength);
    return file;
  };
  const half = (dtype: string) => ({ a: { dtype, shape: [2], data_offsets: [0, 4] } });
  const cases: [Uint8Array, RegExp][] = [
    [bytesOf({ a: f32(0, 8) }, Float32Array.of(1, Number.NaN)), /tensor "a" holds NaN at element 1/],
    [bytesOf({ a: f32(0, 8) }, Float32Array.of(-Infinity, 1)), /tensor "a" holds -Infinity at element 0/],
    [bytesOf(half('F16'), Uint16Array.of(0x3c00, 0xfc00)), /tensor "a" holds -Infinity at element 1/],
    [bytesOf(half('BF16'), Uint16Array.of(0x7f81, 0)), /tensor "a" holds NaN at element 0/],
    [
      bytesOf(
        { 'a.scale': f32(0, 4), a: { dtype: 'I8', shape: [1, 4], data_offsets: [4, 8] } },
        Int8Array.of(0, 0, 0, 0, 1, -128, 0, 0),
      ),
      /int8 tensor "a" holds -128, outside the symmetric range/,
    ],
  ];
  for (const [file, message] of cases)
    assert.throws(() => parseSafetensors(file, 'x'), { name: 'CheckpointError', message });
});

test('safetensors: a tensor named __proto__ is a tensor like any other', () => {
  const tensors = parseSafetensors(fileOf('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4), 'x');
  assert.deepEqual([...tensors.keys()], ['__proto__']);
});

test('safetensors: 2,000 mutants are read or refused with a CheckpointError, each in under a second of CPU time', () => {
  const valid = written(TENSORS);
  const odd = fc.constantFrom(
    -1,
    0.5,
    2 ** 31,
    2 ** 53,
    1e308,
    null,
    '',
    '__proto__',
    [],
    {},
    [[]],
    'F16',
    true,
    [0, 4],
    [4, 0],
  );
  const field = fc.constantFrom('dtype', 'shape', 'data_offsets', '__proto__', 'extra');
  const name = fc.constantFrom('a', 'a.scale', 'b', 'c', '__metadata__', '__proto__', 'd.scale');
  const structural = fc.record({ name, field, value: odd }).map(({ name, field, value }) => {
    const header = JSON.parse(valid.toString('utf8', 8, 320)) as Record<string, Record<string, unknown>>;
    header[name] = { ...header[name], [field]: value };
    const file = fileOf(header, 31);
    file.set(valid.subarray(320), file.length - 31);
    return file;
  });
  const edits = fc.array(fc.record({ at: fc.nat(valid.length - 1), byte: fc.nat(255) }), {
    minLength: 1,
    maxLength: 4,
  });
  const bytewise = edits.map((list) => {
    const file = Uint8Array.from(valid);
    for (const { at, byte } of list) file[at] = byte;
    return file;
  });
  const cut = fc.nat(valid.length).map((length) => Uint8Array.from(valid.subarray(0, length)));
  const spliced = fc
    .record({ at: fc.nat(valid.length), bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) })
    .map(({ at, bytes }) => new Uint8Array(Buffer.concat([valid.subarray(0, at), bytes, valid.subarray(at)])));
  let refused = 0;
  fc.assert(
    fc.property(fc.oneof(structural, structural, bytewise, cut, spliced), (file) => {
      const before = process.cpuUsage();
      try {
        for (const { shape, data } of parseSafetensors(file, 'mutant').values()) {
          assert.equal(
            data.length,
            shape.reduce((a, b) => a * b, 1),
          );
          assert.ok(data.every(Number.isFinite));
        }
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        refused++;
      }
      const { user, system } = process.cpuUsage(before);
      assert.ok(user + system < 1e6); // Microseconds; unlike the clock, deaf to what else the machine does.
    }),
    { numRuns: 2000, seed: 2 },
  );
  assert.ok(refused > 1000, `only ${refused} were refused`);
});
