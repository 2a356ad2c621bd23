// What `gpt-loom tune` prints: exact texts at 80 columns.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBudget } from '../../../src/commands/tune/budget.js';
import { frameLines, tableLines } from '../../../src/commands/tune/table.js';
import { openLines } from '../../../src/commands/tune/view.js';
import { recommendationLines } from '../../../src/commands/tune/words.js';
import type { PrecisionComparison } from '../../../src/tune/precisions.js';
import type { Doubt, Recommendation } from '../../../src/tune/recommend.js';
import { createPaint } from '../../../src/ui/paint.js';
import { madeUp } from '../../tune/made-up.js';

const CORES = { physical: 2, logical: 4, usablePhysical: 2, usableLogical: 4, quota: null };
const SCREEN = { width: 80, cores: CORES, paint: createPaint(false) };

const MEASUREMENTS = [
  madeUp({ threads: 1, ms: [187, 188, 187] }),
  madeUp({ threads: 2, microBatch: 2, ms: [null, 105] }),
  madeUp({ threads: 2, ms: [100, 101, 100, 102] }),
  madeUp({ threads: 2, microBatch: 8, ms: [] }),
  madeUp({ threads: 3, ms: [150, 151], state: 'dropped' }),
  madeUp({ threads: 4, ms: [], state: 'too-large' }),
];

test('tune table: speeds, spreads, times one thread, bars; what is recommended, physical, left out', () => {
  const lines = tableLines({ ...SCREEN, measurements: MEASUREMENTS, recommended: { threads: 2, microBatch: 4 } });
  assert.deepEqual(lines, [
    '  threads  micro_batch  tokens/s  spread  vs 1 thread',
    '       1             4     5,348   0.0 %         1.00  █████████████▍',
    '       2*            2     9,524       -         1.78  ███████████████████████▉',
    '>      2*            4     9,950   0.7 %         1.86  █████████████████████████',
    '       2*            8         -       -            -  not measured',
    'x      3             4     6,645   0.5 %         1.24  ████████████████▊',
    '       4             4         -       -            -  not enough memory',
    '  * one thread per physical core   x too slow, left out early',
  ]);
});

/** The recommended setting in both precisions, so many milliseconds each. */
function compared(fp32: number[], bf16: number[], change: Partial<PrecisionComparison> = {}): PrecisionComparison {
  const [present, other] = [fp32, bf16].map((ms) => madeUp({ threads: 2, ms }));
  return { present, other, precisions: { present: 'fp32', other: 'bf16' }, isEmulated: false, ...change };
}

test('tune table: another precision has a line below the settings, and counts for the length of the bars', () => {
  const comparison = compared([100, 102, 100], [50, 51, 50]);
  const [one, , two] = MEASUREMENTS;
  const lines = tableLines({ ...SCREEN, measurements: [one, two], recommended: two.setting, comparison });
  assert.deepEqual(lines.slice(1), [
    '       1             4     5,348   0.0 %         1.00  ██████▋',
    '>      2*            4     9,950   0.7 %         1.86  ████████████▌',
    'bf16   2*            4    20,000   0.0 %            -  █████████████████████████',
    '  * one thread per physical core',
  ]);
});

test('tune table: the picture says when it measures another precision', () => {
  const progress = { round: 0, elapsedMs: 55_000, current: null, measurements: MEASUREMENTS, afterwards: 'in bf16' };
  const lines = frameLines({ ...SCREEN, progress, budgetMs: 60_000, head: [], rows: 24 });
  assert.match(lines[0], /^in bf16 {5}█+.* 0:55 of 1:00$/);
});

test('tune table: while it measures, the picture fits on the screen and says how far it is', () => {
  const progress = { round: 3, elapsedMs: 12_300, current: { threads: 2, microBatch: 8 }, measurements: MEASUREMENTS };
  const options = { ...SCREEN, progress, budgetMs: 60_000, head: ['gpt-loom tune: a machine'] };
  assert.deepEqual(frameLines({ ...options, rows: 24 }), [
    'gpt-loom tune: a machine',
    'round 3     ███████████▏                                            0:12 of 1:00',
    '',
    '  threads  micro_batch  tokens/s  spread  vs 1 thread',
    '       1             4     5,348   0.0 %         1.00  █████████████▍',
    '       2*            2     9,524       -         1.78  ███████████████████████▉',
    '       2*            4     9,950   0.7 %         1.86  █████████████████████████',
    '·      2*            8         -       -            -',
    'x      3             4     6,645   0.5 %         1.24  ████████████████▊',
    '       4             4         -       -            -  not enough memory',
    '  * one thread per physical core   x too slow, left out early',
  ]);
  const small = frameLines({ ...options, rows: 10, width: 40 });
  assert.deepEqual(small, [
    'gpt-loom tune: a machine',
    'round 3     ██▉             0:12 of 1:00',
    '',
    '  threads  micro_batch  tokens/s',
    '       2*            2     9,524  █████▊',
    '       2*            4     9,950  ██████',
    'x      3             4     6,645  ████',
    '  * one thread per physical core   x to…',
    '  and 3 slower ones',
  ]);
});

test('tune table: elsewhere it is a line a round', () => {
  const lines: string[] = [];
  const view = openLines((line) => lines.push(line));
  const [one, , two] = MEASUREMENTS;
  const shorten = (m: typeof one, rounds: number) => ({ ...m, visits: m.visits.slice(0, rounds) });
  const show = (round: number, elapsedMs: number, taken: [number, number]) =>
    view.show({
      round,
      elapsedMs,
      current: null,
      measurements: [shorten(one, taken[0]), shorten(two, taken[1])],
    });
  show(1, 0, [0, 0]);
  show(1, 1000, [1, 0]);
  show(2, 2000, [1, 1]);
  show(2, 3000, [1, 2]);
  show(3, 4000, [2, 2]);
  show(0, 5000, [2, 3]);
  assert.deepEqual(lines, [
    'round  1  0:02  2 settings   best: threads 2, micro_batch 4, 10,000 tokens/s',
    'round  2  0:04  2 settings   best: threads 2, micro_batch 4, 9,950 tokens/s',
    'round  3  0:05  1 setting    best: threads 2, micro_batch 4, 10,000 tokens/s',
  ]);
});

const BEST: Recommendation = {
  setting: { threads: 2, microBatch: 4 },
  tokensPerSec: 9812.4,
  fastest: { threads: 2, microBatch: 4 },
  timesOneThread: 1.868,
  timesPresent: 1,
  uselessThreads: [4],
  doubts: [],
};
const CONTEXT = { present: { threads: 2, microBatch: 4 }, physical: 2, width: 80 };

const cases: [
  what: string,
  recommendation: Partial<Recommendation>,
  context: Partial<typeof CONTEXT>,
  lines: string[],
][] = [
  [
    'the best setting with its margin',
    {},
    {},
    [
      'Best: threads: 2, micro_batch: 4 (9,812 tokens/s)',
      '  2 threads: 1.87 times one thread, round by round',
      '  4 threads add nothing: 2 physical cores',
      '  this is what training uses now',
    ],
  ],
  [
    'a simpler setting than the fastest',
    { fastest: { threads: 3, microBatch: 8 } },
    {},
    [
      'Best: threads: 2, micro_batch: 4 (9,812 tokens/s)',
      '  threads 3, micro_batch 8 is at most 2 % faster, round by round: the simpler',
      '  setting wins',
      '  2 threads: 1.87 times one thread, round by round',
      '  4 threads add nothing: 2 physical cores',
      '  this is what training uses now',
    ],
  ],
  [
    'one thread that does as well as several',
    { setting: { threads: 1, microBatch: 16 }, timesOneThread: 1, uselessThreads: [2, 3, 4], timesPresent: 1.31 },
    {},
    [
      'Best: threads: 1, micro_batch: 16 (9,812 tokens/s)',
      '  2, 3 and 4 threads add nothing',
      '  1.31 times what training uses now (threads 2, micro_batch 4)',
    ],
  ],
  [
    'a setting that is as good as the present one',
    { timesPresent: 1.01 },
    { present: { threads: 4, microBatch: 4 } },
    [
      'Best: threads: 2, micro_batch: 4 (9,812 tokens/s)',
      '  2 threads: 1.87 times one thread, round by round',
      '  4 threads add nothing: 2 physical cores',
      '  as fast as what training uses now (threads 4, micro_batch 4)',
    ],
  ],
];

for (const [what, recommendation, context, lines] of cases) {
  test(`tune words: ${what}`, () => {
    assert.deepEqual(
      recommendationLines(
        { ...BEST, fastest: recommendation.setting ?? BEST.setting, ...recommendation },
        { ...CONTEXT, ...context },
      ),
      lines,
    );
  });
}

const comparisons: [what: string, comparison: PrecisionComparison, text: string][] = [
  [
    'a faster bf16 with its gain, and that it stays off',
    compared([170, 171, 170], [100, 100, 100]),
    'bf16 is 1.70 times as fast as fp32 with these settings; it stays off unless you set precision: bf16.',
  ],
  [
    'a gain that scatters with its margin',
    // Ratios 1.7, 1.6, 1.8: median 1.7, spread 0.148, error 0.107.
    compared([170, 160, 180], [100, 100, 100]),
    'bf16 is 1.70 ± 0.21 times as fast as fp32 with these settings; it stays off unless you set precision: bf16.',
  ],
  [
    'a slower bf16 the other way round',
    compared([100, 100, 100], [200, 200, 200]),
    'fp32 is 2.00 times as fast as bf16 with these settings.',
  ],
  [
    'an emulated bf16 as no measure',
    compared([100, 100, 100], [200, 200, 200], { isEmulated: true }),
    'fp32 is 2.00 times as fast as bf16 with these settings. Here bf16 is emulated: that says nothing of processors that have it.',
  ],
  ['no difference', compared([100, 101, 100], [100, 100, 100]), 'bf16 is as fast as fp32 with these settings.'],
  [
    'a difference that is less than the noise',
    compared([110, 90, 130], [100, 100, 100]),
    'bf16 was 1.10 ± 0.43 times as fast as fp32 with these settings: the machine is too noisy to tell which is the faster one.',
  ],
  [
    'too few rounds',
    compared([150], [100]),
    'bf16 was 1.50 times as fast as fp32 with these settings, in 1 round only.',
  ],
  [
    'a training in bf16 that is as it should be',
    compared([100, 100, 100], [170, 170, 170], { precisions: { present: 'bf16', other: 'fp32' } }),
    'bf16 is 1.70 times as fast as fp32 with these settings.',
  ],
  [
    'a training in bf16 that would be faster without',
    compared([170, 170, 170], [100, 100, 100], { precisions: { present: 'bf16', other: 'fp32' } }),
    'fp32 is 1.70 times as fast as bf16 with these settings; to use it, set precision: fp32.',
  ],
];

for (const [what, comparison, text] of comparisons) {
  test(`tune words: ${what}`, () => {
    const without = recommendationLines(BEST, CONTEXT);
    const lines = recommendationLines(BEST, { ...CONTEXT, comparison });
    assert.equal(lines.slice(without.length).join(' '), text);
    assert.ok(lines.every((line) => line.length <= 80));
  });
}

const doubts: [Doubt, string[]][] = [
  [
    { kind: 'few-rounds', rounds: 2 },
    ['  the budget was enough for 2 rounds only', '  Give it more time: --budget 2m.'],
  ],
  [
    { kind: 'scatter', other: { threads: 2, microBatch: 8 }, ratio: 1.012, error: 0.041 },
    [
      '  the machine is too noisy: the steps of micro_batch 8 took 1.01 ± 0.08 times as',
      '  long, so it may be the faster one',
      '  Close other programs and measure again, or longer: --budget 2m.',
    ],
  ],
  [
    { kind: 'scatter', other: { threads: 1, microBatch: 8 }, ratio: 1.012, error: 0.041 },
    [
      '  the machine is too noisy: the steps of 1 thread, micro_batch 8, took 1.01 ±',
      '  0.08 times as long, so it may be the faster one',
      '  Close other programs and measure again, or longer: --budget 2m.',
    ],
  ],
  [
    { kind: 'others-busy', processors: 0.97, free: 0 },
    [
      '  other programs kept 1.0 processors busy meanwhile',
      '  Close other programs and measure again, or longer: --budget 2m.',
    ],
  ],
  [
    { kind: 'starved', share: 0.234 },
    [
      '  the threads had work but no processor for 23 % of their time: other programs,',
      '  or a limit on processor time',
      '  Close other programs and measure again, or longer: --budget 2m.',
    ],
  ],
];

for (const [doubt, lines] of doubts) {
  test(`tune words: ${doubt.kind} makes it uncertain, and says what to do`, () => {
    const [head, ...rest] = recommendationLines({ ...BEST, doubts: [doubt] }, CONTEXT);
    assert.equal(head, 'Probably best: threads: 2, micro_batch: 4 (9,812 tokens/s)');
    assert.deepEqual(rest.slice(rest.indexOf('This is uncertain:') + 1), lines);
  });
}

test('tune budget: seconds, minutes and hours; anything else is an error that shows how', () => {
  assert.deepEqual(
    ['60s', '90', '1.5m', '2 m', '1h', '1000ms'].map(parseBudget),
    [60_000, 90_000, 90_000, 120_000, 3_600_000, 1000],
  );
  for (const text of ['', 'soon', '-5s', '0.5s', '25h', '10d', '5ss']) {
    assert.throws(() => parseBudget(text), {
      name: 'ConfigError',
      message:
        `--budget ${text} is not a time to measure for.\n` +
        '  Expected a number with its unit, from 1s to 24h, for example --budget 60s or --budget 2m.',
    });
  }
});
