import assert from 'node:assert/strict';
import { test } from 'node:test';
import stringWidth from 'string-width';
import type { TrainEvent } from '../../src/trainer/events.js';
import { createJsonPrinter, createPlainPrinter, createQuietPrinter } from '../../src/ui/plain.js';
import { formatSummary } from '../../src/ui/summary.js';
import { type RecordedEvent, record, START } from './recording.js';
import { viewAfter } from './view.js';

function print(events: readonly RecordedEvent[], every?: number): string[] {
  let now = 0;
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const printer = createPlainPrinter({ write, now: () => now, every });
  for (const { at, event } of events) {
    now = at;
    printer(event);
  }
  return text.split('\n');
}

function printEvents(events: readonly TrainEvent[]): string[] {
  return print(events.map((event) => ({ at: 0, event })));
}

test('plain lines: tell a short run from start to end', () => {
  assert.deepEqual(print(record({ maxSteps: 120, hasEnd: true })), [
    'model    3,368,192 parameters: 4 layers, 4 heads, 256 channels, 824 tokens',
    'data     512 samples (510 distinct), 96 for validation',
    'engine   native AVX-512 fp32',
    'workers  2, for 4 micro-batches of 4 samples',
    'steps    120, 32 per epoch, evaluation every 100',
    'folder   checkpoints',
    'step   1/120  loss 4.7270  lr 3.00e-6  grad 4.604  10,424 tok/s  ETA 0:08',
    'step  10/120  loss 0.4285  lr 3.00e-5  grad 0.237   9,938 tok/s  ETA 0:07',
    'step  20/120  loss 0.0796  lr 6.00e-5  grad 0.041   9,870 tok/s  ETA 0:07',
    'step  30/120  loss 0.0300  lr 9.00e-5  grad 0.022   9,815 tok/s  ETA 0:06',
    'step  40/120  loss 0.0163  lr 1.20e-4  grad 0.009   9,871 tok/s  ETA 0:05',
    'step  50/120  loss 0.0088  lr 1.50e-4  grad 0.009   9,833 tok/s  ETA 0:05',
    'step  60/120  loss 0.0063  lr 1.80e-4  grad 0.009   9,806 tok/s  ETA 0:04',
    'step  70/120  loss 0.0054  lr 2.10e-4  grad 0.009   9,757 tok/s  ETA 0:03',
    'step  80/120  loss 0.0054  lr 2.40e-4  grad 0.009   9,701 tok/s  ETA 0:03',
    'step  90/120  loss 0.0050  lr 2.70e-4  grad 0.009   9,733 tok/s  ETA 0:02',
    'step 100/120  loss 0.0037  lr 3.00e-4  grad 0.009   9,608 tok/s  ETA 0:01',
    'eval 100/120  loss 0.0055  best so far  310 ms',
    'answers  4 of 4 right; 什么是RoPE？ RoPE用旋转把相对位置信息注入注意力。',
    'saved    checkpoints/best  step 100  12 ms',
    'step 110/120  loss 0.0032  lr 1.65e-4  grad 0.009   9,614 tok/s  ETA 0:01',
    'step 120/120  loss 0.0031  lr 3.00e-5  grad 0.009   9,662 tok/s  ETA 0:00',
    'saved    checkpoints/last  step 120  31 ms',
    'saved    checkpoints/quantized  step 120  31 ms',
    'Done: 120 steps',
    '  time     0:08, median step 68 ms, 9,799 tokens/s',
    '  loss     training 0.0031, evaluation 0.0057, best 0.0055 at step 100',
    '  saved    checkpoints/best, checkpoints/last, checkpoints/quantized',
    '  next     npx gpt-loom infer --ckpt checkpoints/best --prompt "学习率预热有什么用？"',
    '',
  ]);
});

test('plain lines: a resumed run and cut samples are mentioned', () => {
  const lines = printEvents([{ ...START, startStep: 500, truncated: 3 }]);
  assert.equal(lines[1], 'data     512 samples (510 distinct, 3 cut to 128 tokens), 96 for validation');
  assert.equal(lines[4], 'steps    501 to 2,000, 32 per epoch, evaluation every 100');
});

test('plain lines: one line for every so many steps', () => {
  const lines = print(record({ steps: 99 }), 25).filter((line) => line.startsWith('step '));
  assert.deepEqual(
    lines.map((line) => line.slice(0, 16)),
    ['step     1/2,000', 'step    25/2,000', 'step    50/2,000', 'step    75/2,000'],
  );
});

test('plain lines: fit into 80 columns and contain no escape sequence, whatever the numbers', () => {
  const long = '很长的文字 with words '.repeat(30);
  const events = record({ steps: 230, maxSteps: 1_000_000, workers: 4, stepMs: 90_000 }).map(({ at, event }) => {
    if (event.type === 'step') return { at, event: { ...event, gradNorm: 1234.5, loss: 12.3456 } };
    if (event.type === 'samples') {
      return {
        at,
        event: { ...event, items: [{ prompt: `${long}\u001b[2J`, answer: long, expected: '', step: 200 }] },
      };
    }
    return { at, event };
  });
  const notice: TrainEvent = { type: 'notice', level: 'warning', step: 1, message: `${long}\u001b[31m` };
  for (const line of [...print(events), ...printEvents([START, notice])]) {
    assert.ok(stringWidth(line) <= 80, `${stringWidth(line)} columns: ${line}`);
    assert.ok(!line.includes('\u001b'), line);
  }
});

test('quiet: prints warnings and the summary, nothing else', () => {
  const lines: string[] = [];
  const printer = createQuietPrinter({ write: (text) => lines.push(text) });
  for (const { event } of record({ maxSteps: 700, hasEnd: true })) printer(event);
  assert.equal(lines.length, 2);
  assert.equal(lines[0], 'warning  worker 1 died and was replaced\n');
  assert.match(lines[1], /^Done: 700 steps\n/);
});

test('json lines: are the events, one a line', () => {
  const events = record({ steps: 120 }).map(({ event }) => event);
  let text = '';
  const printer = createJsonPrinter({
    write: (more) => {
      text += more;
    },
  });
  for (const event of events) printer(event);
  assert.deepEqual(
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    events,
  );
});

test('summary: tells what came out, where it lies, and what to try', () => {
  const view = viewAfter(record({ maxSteps: 700, hasEnd: true }));
  assert.deepEqual(formatSummary(view, { hasWarnings: true }).split('\n'), [
    'Done: 700 steps',
    '  time     0:48, median step 68 ms, 9,799 tokens/s',
    '  loss     training 0.0027, evaluation 0.0055, best 0.0053 at step 700',
    '  saved    checkpoints/best, checkpoints/last, checkpoints/quantized',
    '  warning  worker 1 died and was replaced',
    '  next     npx gpt-loom infer --ckpt checkpoints/best --prompt "学习率预热有什么用？"',
    '',
  ]);
});

test('summary: a stopped run says how it goes on, a diverged one what to change', () => {
  const events = record({ steps: 220, hasEnd: true });
  const stopped = formatSummary(viewAfter(events), { hasWarnings: true }).split('\n');
  assert.equal(stopped[0], 'Stopped after step 220 of 2,000');
  assert.ok(stopped.includes('  next     npx gpt-loom train --resume'));
  const diverged = events.map(({ at, event }) =>
    event.type === 'end'
      ? { at, event: { ...event, reason: 'diverged' as const, trainLoss: Number.NaN } }
      : { at, event },
  );
  const lines = formatSummary(viewAfter(diverged), { hasWarnings: false }).split('\n');
  assert.equal(lines[0], 'Diverged at step 220: the loss is no longer a number');
  assert.match(lines[2], /training NaN, evaluation/);
  assert.match(lines.at(-2) ?? '', /--set training\.lr=/);
});

test('summary: a run that was stopped before anything was saved is begun again, in its folder', () => {
  const end: TrainEvent = {
    type: 'end',
    reason: 'stopped',
    step: 0,
    trainLoss: null,
    bestEvalLoss: null,
    lastEvalLoss: null,
    elapsedMs: 0,
    medianStepMs: null,
    tokensPerSec: null,
  };
  const start = { ...START, saveDir: 'runs/my run' };
  const summary = (startStep: number) =>
    formatSummary(viewAfter([{ ...start, startStep }, end].map((event) => ({ at: 0, event }))), { hasWarnings: false });
  assert.equal(
    summary(0),
    'Stopped after step 0 of 2,000\n  time     0:00\n  next     npx gpt-loom train --save-dir "runs/my run"\n',
  );
  assert.match(summary(7), /next {5}npx gpt-loom train --resume --save-dir "runs\/my run"/);
});

test('summary: the question that it proposes is the right one with the longest answer, so none that is refused', () => {
  const items = [
    { prompt: '感恩节是哪天', answer: '不知道。', expected: '不知道。', step: 100 },
    { prompt: '什么是水？', answer: '水是一种液体。', expected: '水是一种液体。', step: 100 },
    { prompt: '什么是火？', answer: '水是一种液体。', expected: '火是燃烧时发出的光和热。', step: 100 },
  ];
  const events = record({ maxSteps: 700, hasEnd: true }).map(({ at, event }) =>
    event.type === 'samples' ? { at, event: { ...event, items } } : { at, event },
  );
  assert.match(formatSummary(viewAfter(events), { hasWarnings: false }), /--prompt "什么是水？"\n/);
  const only = events.map(({ at, event }) =>
    event.type === 'samples' ? { at, event: { ...event, items: items.slice(1) } } : { at, event },
  );
  assert.match(formatSummary(viewAfter(only), { hasWarnings: false }), /--prompt "什么是水？"\n/);
});

test('summary: a resumed run without a new best proposes the best of before', () => {
  const events = record({ maxSteps: 700, hasEnd: true }).filter(
    ({ event }) => event.type !== 'checkpoint' || event.kind === 'quantized',
  );
  assert.match(formatSummary(viewAfter(events), { hasWarnings: false }), / infer --ckpt checkpoints\/best --prompt /);
});

test('plain lines: a finished run that is resumed says that nothing is left to do', () => {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  createPlainPrinter({ write })({ ...START, startStep: 2000 });
  assert.match(text, /\nsteps {4}all 2,000 are done; a larger training\.max_steps would go on\n/);
});

test('summary: a stopped run goes on with the flags it was started with', () => {
  const view = viewAfter(record({ steps: 220, hasEnd: true }));
  const text = formatSummary(view, { hasWarnings: false, trainFlags: ' --max-steps 2000 --save-dir "a b"' });
  assert.match(text, /\n {2}next {5}npx gpt-loom train --resume --max-steps 2000 --save-dir "a b"\n/);
});

test('summary: what it proposes can be pasted into a shell', () => {
  const events = record({ steps: 220, hasEnd: true }).map(({ at, event }) => {
    if (event.type === 'checkpoint') return { at, event: { ...event, path: 'my runs/best' } };
    if (event.type !== 'samples') return { at, event };
    return { at, event: { ...event, items: [{ prompt: "what's $HOME?", answer: 'a', expected: 'a', step: 100 }] } };
  });
  const text = formatSummary(viewAfter(events), { hasWarnings: false });
  assert.match(text, /infer --ckpt "my runs\/best" --prompt 'what'\\''s \$HOME\?'\n/);
});

test('summary: there is none before the end', () => {
  assert.equal(formatSummary(viewAfter(record({ steps: 10 })), { hasWarnings: true }), '');
});
