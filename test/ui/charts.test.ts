import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bar, sparkline, splitColumns } from '../../src/ui/charts/blocks.js';
import { type ChartOptions, drawChart } from '../../src/ui/charts/braille.js';
import { columnTicks, placeOf, roundRange, rowTicks } from '../../src/ui/charts/scale.js';
import { createPaint } from '../../src/ui/paint.js';

const base: ChartOptions = {
  width: 12,
  height: 4,
  x: { min: 0, max: 19 },
  scale: 'linear',
  line: [],
  marks: [],
  mark: '●',
  lineStyle: 'cyan',
  markStyle: 'yellow',
};

function draw(options: Partial<ChartOptions>): string[] {
  return drawChart({ ...base, ...options }, createPaint(false));
}

test('bar: fills eighths of a cell, and shows even a little', () => {
  assert.equal(bar(0, 8), '');
  assert.equal(bar(0.001, 8), '▏');
  assert.equal(bar(0.5, 5), '██▌');
  assert.equal(bar(1, 3), '███');
  assert.equal(bar(7, 3), '███');
  assert.equal(bar(Number.NaN, 3), '');
});

test('sparkline: has one block per value, from 0 to the largest', () => {
  assert.equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8]), '▁▁▂▃▄▅▆▇█');
  assert.equal(sparkline([1, 2], 4), '▂▄');
  assert.equal(sparkline([0, 0]), '▁▁');
  assert.equal(sparkline([]), '');
});

test('bar: shares of a whole fill it exactly', () => {
  assert.deepEqual(splitColumns([0.31, 0.6, 0.02, 0.03, 0.04], 20), [6, 12, 1, 0, 1]);
  assert.deepEqual(splitColumns([1 / 3, 1 / 3, 1 / 3], 10), [3, 4, 3]);
});

test('chart: a straight line goes from corner to corner', () => {
  // 8 columns of 2 dots, 4 rows of 4: dot x stands in dot row 15 - x.
  const line = Array.from({ length: 16 }, (_, x) => ({ x, y: (10 * x) / 15 }));
  assert.deepEqual(draw({ line, width: 11, x: { min: 0, max: 15 } }), [
    '10┤      ⡠⠊',
    '  │    ⡠⠊  ',
    ' 5┤  ⡠⠊    ',
    ' 0┤⡠⠊      ',
  ]);
});

test('chart: a jump is drawn as an unbroken stroke', () => {
  const line = [
    { x: 0, y: 10 },
    { x: 9, y: 10 },
    { x: 10, y: 0 },
    { x: 19, y: 0 },
  ];
  assert.deepEqual(draw({ line, height: 3 }), ['10┤⠉⠉⠉⠉⢱    ', ' 5┤    ⢸    ', ' 0┤    ⢸⣀⣀⣀⣀']);
});

test('chart: a logarithmic axis gives every decade the same height, with the steps below', () => {
  const line = [
    { x: 0, y: 10 },
    { x: 20, y: 0.001 },
  ];
  const rows = draw({ line, scale: 'log', height: 11, width: 23, x: { min: 0, max: 20 } });
  assert.deepEqual(
    rows.map((row) => row.slice(0, 6)),
    ['   10┤', '     │', '    1┤', '     │', '  0.1┤', '     │', ' 0.01┤', '     │', '0.001┤', '     └', '      '],
  );
  assert.equal(rows[9], '     └┬───────┬───────┬');
  assert.equal(rows[10], '      0      10      20');
});

test('chart: marks stand on their values, thinned where they would touch, the last one always there', () => {
  const marks = Array.from({ length: 20 }, (_, x) => ({ x, y: 10 }));
  const [top] = draw({ marks, height: 3, width: 13 });
  assert.equal(top, '10┤●  ●  ●  ●');
});

test('chart: what is no number leaves a gap in the marks and none in the line', () => {
  const line = [
    { x: 0, y: 10 },
    { x: 9, y: Number.NaN },
    { x: 19, y: 10 },
  ];
  const [first] = draw({ line, marks: [{ x: 10, y: Number.NaN }], height: 3 });
  assert.equal(first, '10┤⠉⠉⠉⠉⠉⠉⠉⠉⠉');
});

test('scale: ranges end on round numbers', () => {
  assert.deepEqual(roundRange([6.7, 0.0029], 'log'), { min: 0.002, max: 10 });
  assert.deepEqual(roundRange([6.7, 0.0029], 'linear'), { min: 0, max: 7 });
  assert.deepEqual(roundRange([9799], 'linear'), { min: 0, max: 10_000 });
  assert.deepEqual(roundRange([-3, 5], 'linear'), { min: -3, max: 5 });
  assert.deepEqual(roundRange([0.3], 'log'), { min: 0.2, max: 0.5 });
  assert.deepEqual(roundRange([], 'log'), { min: 0.1, max: 10 });
  assert.deepEqual(roundRange([Number.NaN, 0], 'linear'), { min: 0, max: 0.2 });
});

test('scale: places are clamped to the range', () => {
  assert.equal(placeOf(0.1, { min: 0.01, max: 1 }, 'log'), 0.5);
  assert.equal(placeOf(0, { min: 0.01, max: 1 }, 'log'), 0);
  assert.equal(placeOf(9, { min: 0, max: 6 }, 'linear'), 1);
});

test('scale: ticks of rows keep a free row between them', () => {
  const labels = (rows: number) => rowTicks({ min: 0.002, max: 10 }, rows, 'log').map((tick) => tick.label);
  assert.deepEqual(labels(40), ['0.002', '0.005', '0.01', '0.02', '0.05', '0.1', '0.2', '0.5', '1', '2', '5', '10']);
  assert.deepEqual(labels(12), ['0.01', '0.1', '1', '10']);
  assert.deepEqual(labels(5), ['0.01', '1']);
  assert.deepEqual(
    rowTicks({ min: 0, max: 12_000 }, 9, 'linear').map((tick) => tick.label),
    ['0', '5k', '10k'],
  );
});

test('scale: ticks of columns leave room for their labels', () => {
  for (const columns of [20, 33, 60, 120, 200]) {
    for (const max of [1, 16, 250, 2000, 100_000, 3_000_000]) {
      const ticks = columnTicks({ min: 0, max }, columns);
      for (const [i, tick] of ticks.entries()) {
        assert.ok(tick.at >= 0 && tick.at < columns);
        if (i > 0) assert.ok(tick.at - ticks[i - 1].at > tick.label.length, `${max} on ${columns}`);
      }
    }
  }
  assert.deepEqual(
    columnTicks({ min: 500, max: 2000 }, 60).map((tick) => tick.label),
    ['600', '800', '1000', '1200', '1400', '1600', '1800', '2000'],
  );
});
