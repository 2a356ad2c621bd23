// All findings of doctor, and what follows from them.

import { physicalCores } from '../../machine/cores.js';
import type { ConfigOptions } from '../options.js';
import type { Finding } from './finding.js';
import { examineMachine } from './machine.js';
import { examineProject } from './project.js';
import { examineSoftware } from './software.js';

export interface Examination {
  readonly findings: readonly Finding[];
  readonly trainingPossible: boolean;
  /** One sentence. */
  readonly conclusion: string;
}

export async function examine(options: ConfigOptions): Promise<Examination> {
  const findings = [...examineMachine(), ...examineSoftware(), ...(await examineProject(options))];
  return { findings, ...conclude(findings) };
}

export function conclude(findings: readonly Finding[]): Pick<Examination, 'trainingPossible' | 'conclusion'> {
  const obstacles = findings.filter(({ status, isNeeded }) => isNeeded && status !== 'ok').map(({ name }) => name);
  if (obstacles.length > 0) {
    return { trainingPossible: false, conclusion: `Training is not possible yet; see ${obstacles.join(', ')}.` };
  }
  const engine = findings.find(({ name }) => name === 'engine')?.detail;
  return { trainingPossible: true, conclusion: `Training is possible: engine ${engine}, ${physicalCores()} cores.` };
}
