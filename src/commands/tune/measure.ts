// The measuring of a tuning: every setting, then the best one in the other precision; shown while it goes on.

import { type EngineSelection, inOtherPrecision, isEmulated } from '../../engine/select.js';
import {
  COMPARISON_SHARE,
  type ComparisonOptions,
  comparePrecisions,
  type PrecisionComparison,
} from '../../tune/precisions.js';
import { recommend } from '../../tune/recommend.js';
import { measureRounds, type Progress } from '../../tune/rounds.js';
import type { Grid } from '../../tune/settings.js';
import { createTrialOpener, type TrialInputs } from '../../tune/trial.js';
import { CommandExit } from '../exit.js';
import { watchStopSignals } from '../stop-signals.js';
import type { TuneOutcome } from './json.js';
import { openView, type ViewOptions } from './view.js';

/** The comparison is null where there is no other precision. Throws CommandExit when a signal ends it. */
export async function measure(
  inputs: TrialInputs,
  grid: Grid,
  options: ViewOptions,
): Promise<Pick<TuneOutcome, 'measurements' | 'comparison'>> {
  const signals = watchStopSignals();
  const view = openView(options);
  const other = inOtherPrecision(inputs.selection);
  const open = createTrialOpener(inputs);
  const clock = { now: () => performance.now(), isCancelled: () => signals.exitCode !== null };
  const last: { progress: Progress | null } = { progress: null };
  try {
    const measurements = await measureRounds({
      ...clock,
      grid,
      // What starting the program and reading the data took, counts too.
      budgetMs: options.budgetMs * (other === null ? 1 : 1 - COMPARISON_SHARE) - performance.now(),
      open,
      onProgress: (progress) => {
        last.progress = progress;
        view.show(progress);
      },
    });
    const best = recommend(measurements, { ...grid, othersBusy: null });
    let comparison: PrecisionComparison | null = null;
    if (other !== null && best !== null && last.progress !== null) {
      view.show({ ...last.progress, current: best.setting, afterwards: `in ${other.precision}` });
      const budgetMs = options.budgetMs - performance.now();
      comparison = await compare(inputs.selection, other, {
        ...clock,
        budgetMs,
        setting: best.setting,
        open: [() => open(best.setting), () => open(best.setting, other)],
      });
    }
    if (signals.exitCode !== null) throw new CommandExit(signals.exitCode);
    return { measurements, comparison };
  } finally {
    view.close();
    signals.close();
  }
}

async function compare(
  present: EngineSelection,
  other: EngineSelection,
  options: ComparisonOptions,
): Promise<PrecisionComparison | null> {
  const comparison = await comparePrecisions(options);
  if (comparison === null) return null;
  return {
    ...comparison,
    precisions: { present: present.precision, other: other.precision },
    isEmulated: isEmulated(present) || isEmulated(other),
  };
}
