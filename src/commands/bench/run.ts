// What `gpt-loom bench` does: measures, prints, keeps the peak. Signals end it between two parts.

import type { BenchReport } from '../../bench/report.js';
import { savePeak } from '../../bench/stored-peak.js';
import type { Config } from '../../config/config.js';
import { FileError } from '../../errors.js';
import { wantsColour } from '../../ui/open.js';
import { createPaint } from '../../ui/paint.js';
import type { BenchOptions } from '../bench.js';
import { CommandExit } from '../exit.js';
import { watchStopSignals } from '../stop-signals.js';
import { measureAll, prepareBench } from './measure.js';
import { createParts } from './progress.js';
import { parseSizes } from './rows.js';
import { reportLines } from './table.js';

/** Throws ConfigError, DataError, EngineError, and CommandExit when a signal ends it. */
export async function bench(config: Config, options: BenchOptions): Promise<void> {
  const prepared = await prepareBench(config, parseSizes(options, config.model.seqLen));
  const { stdout, stderr } = process;
  const signals = watchStopSignals();
  const parts = createParts(stderr, signals);
  let report: BenchReport;
  try {
    const measured = await measureAll(prepared, options.quick ?? false, parts);
    report = { ...measured, warnings: [...measured.warnings, ...keepPeak(measured, prepared.isa)] };
  } catch (error) {
    // A process that we started got the same Ctrl-C, and its failure may reach us first.
    if (signals.exitCode !== null) throw new CommandExit(signals.exitCode);
    throw error;
  } finally {
    parts.clear();
    signals.close();
  }
  const paint = createPaint(stdout.isTTY === true && wantsColour(stdout, process.env));
  stdout.write(options.json ? `${JSON.stringify(report)}\n` : `${reportLines(report, paint).join('\n')}\n`);
}

/** For `train`, which shows its share of it. That it can't be kept makes no figure wrong: a warning. */
function keepPeak({ peaks, machine, date, warnings }: BenchReport, isa: string | null): string[] {
  if (isa === null || peaks.fp32 === null) return [];
  const { fp32, bf16 } = peaks;
  try {
    savePeak(
      {
        cpu: machine.cpu,
        isa,
        fp32_gflops: fp32.oneThread,
        bf16_gflops: bf16?.oneThread ?? null,
        measured_at: date,
      },
      warnings.length > 0,
    );
    return [];
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return [error.message.replace(/\s*\n\s*/g, ' ')];
  }
}
