// A metrics file may tell of several processes, each of which resumed the one before: here they become one run. Pure.

import { DataError } from '../../errors.js';
import type { StartEvent, TrainEvent } from '../../trainer/events.js';
import { formatCount, formatCounted } from '../../ui/format.js';

/**
 * The events as one run: it starts where the first process did and is what the last one made of it; the others' starts become
 * notices, and ends after which it went on are left out. Throws DataError if there is no start.
 */
export function joinProcesses(events: readonly TrainEvent[], source: string): TrainEvent[] {
  const first = events.find((event) => event.type === 'start');
  const lastStart = events.findLastIndex((event) => event.type === 'start');
  if (first === undefined) {
    throw new DataError(
      `${source} doesn't tell what run it is of.\n  Expected a first line {"run": ...}, as \`gpt-loom train\` writes it. ` +
        'If it has steps, gpt-loom plot can draw them.',
    );
  }
  const { startStep, bestEvalLoss } = first;
  const start: StartEvent = { ...(events[lastStart] as StartEvent), startStep, bestEvalLoss };
  const rest = events.flatMap((event, i): TrainEvent[] => {
    if (event === first || (event.type === 'end' && i < lastStart)) return [];
    return event.type === 'start' ? [resumedNotice(event)] : [event];
  });
  return [start, ...rest];
}

/** What the last process of the file has done: for lines that were printed up to there already. */
export function lastProcess(events: readonly TrainEvent[]): TrainEvent[] {
  return events.slice(
    Math.max(
      0,
      events.findLastIndex((event) => event.type === 'start'),
    ),
  );
}

function resumedNotice({ startStep, workers }: StartEvent): TrainEvent {
  const message = `resumed after step ${formatCount(startStep)}, ${formatCounted(workers, 'worker')}`;
  return { type: 'notice', level: 'info', step: startStep, message };
}
