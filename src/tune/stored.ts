// The result of a tuning, kept for the machine it was measured on: what `threads: auto` goes by there.

import { describeEngine, type EngineSelection } from '../engine/select.js';
import { countCores } from '../machine/cores.js';
import { cpuModel } from '../machine/cpu.js';
import {
  isSameMachine,
  type Machine,
  measuredPath,
  readMeasured,
  type TuneResult,
  writeMeasured,
} from './measured-file.js';

/** All that a result depends on besides model and data. */
export function thisMachineWith(selection: EngineSelection): Machine {
  const { name: engine, detail } = describeEngine(selection);
  const { physical, logical, usablePhysical, usableLogical } = countCores();
  return {
    cpu: cpuModel(),
    physical,
    logical,
    usable_physical: usablePhysical,
    usable_logical: usableLogical,
    engine,
    detail,
    precision: selection.precision,
  };
}

/** The result for this machine, or null. */
export function loadTuneResult(machine: Machine, path = measuredPath()): TuneResult | null {
  return readMeasured(path).results.find((result) => isSameMachine(result.machine, machine)) ?? null;
}

/** Adds the result, or replaces the one for the same machine. Throws FileError. */
export function saveTuneResult(result: TuneResult, path = measuredPath()): void {
  const { results, peaks } = readMeasured(path);
  const others = results.filter(({ machine }) => !isSameMachine(machine, result.machine));
  writeMeasured({ results: [...others, result], peaks }, path);
}
