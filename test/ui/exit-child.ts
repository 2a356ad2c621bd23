// Started by exit.test.ts: opens the dashboard and leaves in the way that the first argument names. With `terminal` as
// second argument on the real terminal, else on a pretended one whose output is the pipe to the test.

import type { ReadStream, WriteStream } from 'node:tty';
import { openDashboard } from '../../src/ui/open.js';
import { FakeStdin } from './fake-terminal.js';
import { record } from './recording.js';

const [way, place] = process.argv.slice(2);
const isReal = place === 'terminal';
const stdout = isReal ? process.stdout : (Object.assign(process.stdout, { columns: 80, rows: 24 }) as WriteStream);
const stdin = isReal ? process.stdin : (new FakeStdin() as unknown as ReadStream);
let isStopped = false;

const dashboard = await openDashboard(
  {
    stdin,
    stdout: Object.assign(stdout, { hasColors: () => false }),
    onForceQuit: () => void dashboard.close().then(() => process.exit(130)),
    control: {
      stop: () => {
        isStopped = true;
      },
      pause: () => undefined,
      resume: () => undefined,
      isPaused: false,
      saveNow: () => undefined,
      evaluateNow: () => undefined,
      setWorkers: () => undefined,
      liveWorkers: () => ['forward', 'backward'],
    },
  },
  process.env,
);

for (const { event } of record({ steps: 30, hasEnd: true })) {
  if (event.type === 'end') await untilLeaving();
  dashboard.push(event);
}
await dashboard.close();
process.exit(0);

/** Resolves when the run is to end in the ordinary way. */
async function untilLeaving(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 100));
  if (way === 'throw') throw new Error('a mistake somewhere else');
  if (way === 'signal') process.kill(process.pid, 'SIGTERM');
  while (!isStopped) await new Promise((resolve) => setTimeout(resolve, 20));
  // The step that is still finished, and the save.
  await new Promise((resolve) => setTimeout(resolve, 200));
}
