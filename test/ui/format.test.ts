import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatClock,
  formatCount,
  formatCounted,
  formatDuration,
  formatLearningRate,
  formatLoss,
  formatMs,
  formatNorm,
  formatPercent,
  formatShort,
} from '../../src/ui/format.js';

const cases: [name: string, format: (value: number) => string, expected: [value: number, text: string][]][] = [
  [
    'counts',
    formatCount,
    [
      [0, '0'],
      [3_368_192, '3,368,192'],
      [9799.4, '9,799'],
    ],
  ],
  [
    'short counts',
    formatShort,
    [
      [840, '840'],
      [9999, '9,999'],
      [12_500, '12.5k'],
      [3_368_192, '3.37M'],
      [2e9, '2B'],
    ],
  ],
  [
    'losses',
    formatLoss,
    [
      [6.7134, '6.7134'],
      [12.3456, '12.346'],
      [123.456, '123.5'],
      [0.0031, '0.0031'],
      [0.00031, '3.1e-4'],
      [0, '0.0000'],
    ],
  ],
  [
    'losses that are no number',
    formatLoss,
    [
      [Number.NaN, 'NaN'],
      [Number.POSITIVE_INFINITY, 'inf'],
      [Number.NEGATIVE_INFINITY, '-inf'],
    ],
  ],
  [
    'norms',
    formatNorm,
    [
      [0.0091, '0.009'],
      [1.5, '1.500'],
      [12.345, '12.35'],
      [123.45, '123.5'],
      [12_345, '12,345'],
    ],
  ],
  [
    'learning rates',
    formatLearningRate,
    [
      [3e-4, '3.00e-4'],
      [1.234e-5, '1.23e-5'],
    ],
  ],
  [
    'durations',
    formatDuration,
    [
      [0, '0:00'],
      [69_400, '1:09'],
      [3_669_000, '1:01:09'],
      [183_600_000, '2 d 3 h'],
    ],
  ],
  [
    'clocks',
    formatClock,
    [
      [-5, '0:00:00'],
      [69_999, '0:01:09'],
      [36_000_000, '10:00:00'],
    ],
  ],
  [
    'measured times',
    formatMs,
    [
      [0.34, '0.3 ms'],
      [9.96, '10 ms'],
      [68.2, '68 ms'],
      [9960, '10.0 s'],
    ],
  ],
  [
    'shares',
    formatPercent,
    [
      [0, '0 %'],
      [0.514, '51 %'],
      [0.9999, '99 %'],
      [1, '100 %'],
      [1.2, '100 %'],
    ],
  ],
];

for (const [name, format, expected] of cases) {
  test(`format: writes ${name} as people read them`, () => {
    assert.deepEqual(
      expected.map(([value]) => format(value)),
      expected.map(([, text]) => text),
    );
  });
}

test('format: one thing has no plural, and where there is no loss there is a dash', () => {
  assert.equal(formatCounted(1, 'worker'), '1 worker');
  assert.equal(formatCounted(4, 'micro-batch', 'es'), '4 micro-batches');
  assert.equal(formatLoss(null), '-');
});
