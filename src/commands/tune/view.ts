// Shows a measurement while it goes on: a picture that redraws itself on a terminal, a line a round elsewhere.

import { tokensPerSec } from '../../tune/measurement.js';
import type { Progress } from '../../tune/rounds.js';
import { formatCount, formatCounted, formatDuration } from '../../ui/format.js';
import { shouldUseDashboard } from '../../ui/open.js';
import { Terminal } from '../../ui/terminal.js';
import { frameLines, type TableContext } from './table.js';

export interface View {
  show(progress: Progress): void;
  /** Gives the terminal back. */
  close(): void;
}

export interface ViewOptions extends TableContext {
  readonly budgetMs: number;
  readonly head: readonly string[];
  readonly isSilent: boolean;
}

export function openView(options: ViewOptions): View {
  const { stdin, stdout, env } = process;
  if (options.isSilent) return { show: () => {}, close: () => {} };
  if (shouldUseDashboard({ stdin, stdout, env, flags: {} })) return openPicture(options);
  stdout.write(options.head.map((line) => `${line}\n`).join(''));
  return openLines((line) => stdout.write(`${line}\n`));
}

/** On the alternate screen, so that the scrollback stays as it is; only rows that have changed are written. */
function openPicture(options: ViewOptions): View {
  let last: Progress | null = null;
  let shown: readonly string[] = [];
  const redraw = () => {
    shown = [];
    draw();
  };
  const terminal = new Terminal({
    stdin: process.stdin,
    stdout: process.stdout,
    onResize: redraw,
    onResume: redraw,
    onLost: () => {},
  });
  const draw = () => {
    if (last === null) return;
    const { columns: width, rows } = terminal.size;
    const lines = frameLines({ ...options, progress: last, width, rows });
    const count = Math.max(lines.length, shown.length);
    const changed = Array.from({ length: count }, (_, at) => at).filter((at) => lines[at] !== shown[at]);
    terminal.draw(changed.map((at) => ({ at, text: lines[at] ?? '' })));
    shown = lines;
  };
  terminal.enter();
  return {
    show(progress) {
      last = progress;
      draw();
    },
    close: () => terminal.leave(),
  };
}

export function openLines(print: (line: string) => void): View {
  let round = 1;
  return {
    show(progress) {
      if (progress.round === round) return;
      const line = roundLine(round, progress);
      if (line !== null) print(line);
      round = progress.round;
    },
    close: () => {},
  };
}

function roundLine(round: number, { measurements, elapsedMs }: Progress): string | null {
  const measured = measurements.filter(({ visits }) => visits.length > 0);
  if (measured.length === 0) return null;
  const best = measured.reduce((a, b) => (tokensPerSec(b) > tokensPerSec(a) ? b : a));
  const { threads, microBatch } = best.setting;
  const taken = measured.filter(({ visits }) => visits.at(-1)?.round === round).length;
  const settings = formatCounted(taken, 'setting').padEnd('99 settings'.length);
  return (
    `round ${String(round).padStart(2)}  ${formatDuration(elapsedMs)}  ${settings}  ` +
    `best: threads ${threads}, micro_batch ${microBatch}, ${formatCount(tokensPerSec(best))} tokens/s`
  );
}
