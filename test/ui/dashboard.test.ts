import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import type { TrainControl } from '../../src/trainer/events.js';
import type { Dashboard, DashboardOptions } from '../../src/ui/dashboard.js';
import { buildFrame } from '../../src/ui/frame.js';
import { openDashboard } from '../../src/ui/open.js';
import { restoreTerminal } from '../../src/ui/terminal.js';
import { FakeStdin, FakeStdout } from './fake-terminal.js';
import { activitiesAt, record } from './recording.js';
import { contextAfter } from './view.js';

const events = record({ steps: 120 });
const FRAME_MS = 250;

/** Remembers what it was asked. */
class FakeControl implements TrainControl {
  readonly calls: string[] = [];
  isPaused = false;
  isBroken = false;
  activities = activitiesAt(events[events.length - 1].at, 2);

  stop = () => void this.calls.push('stop');
  saveNow = () => void this.calls.push('saveNow');
  evaluateNow = () => void this.calls.push('evaluateNow');
  setWorkers = (n: number) => void this.calls.push(`setWorkers ${n}`);

  pause(): void {
    this.calls.push('pause');
    this.isPaused = true;
  }

  resume(): void {
    this.calls.push('resume');
    this.isPaused = false;
  }

  liveWorkers() {
    if (this.isBroken) throw new Error('no such worker');
    return this.activities;
  }
}

let stdin: FakeStdin;
let stdout: FakeStdout;
let control: FakeControl;
let now: number;
let opened: Dashboard | null;

beforeEach(() => {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  stdin = new FakeStdin();
  stdout = new FakeStdout(80, 24);
  control = new FakeControl();
  now = 0;
  opened = null;
});

afterEach(async () => {
  await opened?.close();
  mock.timers.reset();
});

async function open(options: Partial<DashboardOptions> = {}): Promise<Dashboard> {
  const env = { NO_COLOR: '1' };
  opened = await openDashboard(
    {
      control,
      stdin: stdin.asStream(),
      stdout: stdout.asStream(),
      now: () => now,
      onForceQuit: () => control.calls.push('forceQuit'),
      ...options,
    },
    env,
  );
  return opened;
}

function pushAll(dashboard: Dashboard, list = events): void {
  for (const { at, event } of list) {
    now = at;
    dashboard.push(event);
  }
}

function press(keys: string): void {
  stdin.type(keys);
  mock.timers.tick(FRAME_MS);
}

function listenerCounts(): number[] {
  return ['SIGHUP', 'SIGTSTP', 'exit'].map((name) => process.listenerCount(name));
}

test('dashboard: shows on the alternate screen the frame of the events so far', async () => {
  const dashboard = await open();
  pushAll(dashboard);
  mock.timers.tick(FRAME_MS);
  assert.ok(stdout.isAlternate && stdout.isCursorHidden);
  const expected = buildFrame(contextAfter(events), { columns: 80, rows: 24 });
  assert.deepEqual(
    stdout.screen,
    expected.map((row) => row.trimEnd()),
  );
  assert.ok(!stdout.output.includes('\u001b[1m'), 'NO_COLOR is heeded');
});

test('dashboard: draws at most four times a second, and not at all while nothing changes', async () => {
  const dashboard = await open();
  const before = stdout.frames;
  for (const { at, event } of events.slice(0, 60)) {
    mock.timers.tick(at - now);
    now = at;
    dashboard.push(event);
  }
  const seconds = now / 1000;
  const drawn = stdout.frames - before;
  assert.ok(drawn > seconds * 2 && drawn <= seconds * 4, `${drawn} frames in ${seconds} s`);
  mock.timers.tick(FRAME_MS);
  const still = stdout.frames;
  mock.timers.tick(40 * FRAME_MS);
  assert.equal(stdout.frames, still);
});

test('dashboard: writes only the rows that changed', async () => {
  const dashboard = await open();
  pushAll(dashboard);
  mock.timers.tick(FRAME_MS);
  const before = stdout.output.length;
  control.activities = ['idle', ...control.activities.slice(1)];
  mock.timers.tick(FRAME_MS);
  const written = stdout.output.slice(before);
  assert.equal(written.split('\u001b[2K').length - 1, 1, written);
  assert.match(written, /idle/);
});

test('dashboard: keys reach the run', async () => {
  const dashboard = await open();
  pushAll(dashboard);
  for (const key of ['p', 'p', 's', 'e', '+', '-', '-', 'q', '\u0003']) press(key);
  assert.deepEqual(control.calls, [
    'pause',
    'resume',
    'saveNow',
    'evaluateNow',
    'setWorkers 3',
    'setWorkers 2',
    'setWorkers 1',
    'stop',
    'forceQuit',
  ]);
  assert.match(stdout.screen[1], /stopping/);
});

test('dashboard: answers a key at once, and those that follow within a moment together', async () => {
  pushAll(await open());
  mock.timers.tick(FRAME_MS);
  const before = stdout.frames;
  stdin.type('?');
  assert.equal(stdout.frames, before + 1);
  assert.match(stdout.screen[2], /keys/);
  for (const key of ['?', 'l', '1']) stdin.type(key);
  assert.equal(stdout.frames, before + 1);
  mock.timers.tick(40);
  assert.equal(stdout.frames, before + 2);
  assert.match(stdout.screen[2], /loss .* linear/);
});

test('dashboard: a frozen view stays, the run goes on', async () => {
  const dashboard = await open();
  pushAll(dashboard, events.slice(0, 50));
  press('f');
  const [, progress, ...rest] = [...stdout.screen];
  assert.match(progress, /step {4}49\/2,000.*frozen$/);
  pushAll(dashboard, events.slice(50));
  mock.timers.tick(FRAME_MS);
  assert.deepEqual(stdout.screen.slice(2), rest);
  press('f');
  assert.match(stdout.screen[1], /step {3}120\/2,000/);
});

test('dashboard: a question gets its answer while the run goes on', async () => {
  const dashboard = await open({ ask: async (prompt) => `${prompt}答` });
  pushAll(dashboard);
  press('a');
  press('问');
  assert.match(stdout.screen.join('\n'), /> 问▏/);
  press('\r');
  await Promise.resolve();
  mock.timers.tick(FRAME_MS);
  assert.match(stdout.screen.join('\n'), /> 问 .*\n│ 问答 /);
});

test('dashboard: a question that can not be answered says why', async () => {
  const dashboard = await open({ ask: () => Promise.reject(new Error('no weights yet')) });
  pushAll(dashboard);
  for (const key of ['a', '问', '\r']) press(key);
  await Promise.resolve();
  mock.timers.tick(FRAME_MS);
  assert.match(stdout.screen.join('\n'), /no answer: no weights yet/);
});

test('dashboard: fills the terminal anew when its size changes', async () => {
  const dashboard = await open();
  pushAll(dashboard);
  for (const [columns, rows] of [
    [40, 12],
    [200, 50],
    [30, 8],
    [120, 40],
  ]) {
    stdout.resizeTo(columns, rows);
    const expected = buildFrame(contextAfter(events), { columns, rows });
    assert.deepEqual(
      stdout.screen,
      expected.map((row) => row.trimEnd()),
    );
  }
});

test('dashboard: closing gives the terminal back and prints the summary', async () => {
  const before = listenerCounts();
  const dashboard = await open();
  pushAll(dashboard, record({ maxSteps: 120, hasEnd: true }));
  await dashboard.close();
  await dashboard.close();
  assert.ok(!stdout.isAlternate && !stdout.isCursorHidden);
  assert.deepEqual(stdin.rawModes, [true, false]);
  assert.match(stdout.normal, /^Done: 120 steps\n/);
  assert.equal(stdout.normal.match(/Done/g)?.length, 1);
  assert.deepEqual(listenerCounts(), before);
  assert.equal(stdout.listenerCount('error') + stdin.listenerCount('error') + stdout.listenerCount('resize'), 0);
});

test('dashboard: the terminal can be restored at once, and once more', async () => {
  await open();
  restoreTerminal();
  const { output } = stdout;
  restoreTerminal();
  assert.equal(stdout.output, output);
  assert.ok(!stdout.isAlternate && !stdout.isCursorHidden);
});

const losses: [name: string, lose: () => void][] = [
  [
    'writing throws',
    () => {
      stdout.failure = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    },
  ],
  ['stdout reports an error', () => void stdout.emit('error', Object.assign(new Error('write EIO'), { code: 'EIO' }))],
  ['stdin reports an error', () => void stdin.emit('error', Object.assign(new Error('read EIO'), { code: 'EIO' }))],
  ['stdin ends', () => void stdin.emit('end')],
  ['the terminal hangs up', () => void process.emit('SIGHUP')],
];

for (const [name, lose] of losses) {
  test(`dashboard: closes without a word when ${name}`, async () => {
    const dashboard = await open();
    pushAll(dashboard);
    mock.timers.tick(FRAME_MS);
    lose();
    mock.timers.tick(FRAME_MS);
    control.activities = ['idle', 'idle'];
    mock.timers.tick(FRAME_MS);
    const { output } = stdout;
    pushAll(dashboard);
    mock.timers.tick(4 * FRAME_MS);
    stdout.emit('error', new Error('write EIO, once more'));
    await dashboard.close();
    assert.equal(stdout.output, output);
    assert.deepEqual(control.calls, []);
  });
}

test('dashboard: a key that fails does not end the run either', async () => {
  const dashboard = await open();
  pushAll(dashboard);
  control.setWorkers = () => {
    throw new Error('no threads left');
  };
  press('+');
  assert.ok(!stdout.isAlternate);
  assert.match(stdout.normal, /training goes on\. no threads left\n/);
});

test('dashboard: a mistake of its own is reported, and plain lines take over', async () => {
  const dashboard = await open();
  pushAll(dashboard, events.slice(0, 50));
  control.isBroken = true;
  mock.timers.tick(FRAME_MS);
  assert.ok(!stdout.isAlternate);
  assert.equal(stdout.normal, 'The dashboard failed and is closed; training goes on. no such worker\n');
  pushAll(dashboard, events.slice(50, 62));
  assert.match(stdout.normal, /\nstep {4}50\/2,000 {2}loss/);
});
