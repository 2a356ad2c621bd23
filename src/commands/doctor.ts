// gpt-loom doctor: what this machine offers, what is missing, and what to do about it. Changes nothing.

import type { Command } from 'commander';
import type { Examination } from './doctor/examine.js';
import type { Finding } from './doctor/finding.js';
import { CommandExit } from './exit.js';
import { addMachineOptions, type ConfigOptions } from './options.js';

interface DoctorOptions extends ConfigOptions {
  readonly json?: boolean;
}

export function registerDoctor(program: Command): void {
  addMachineOptions(
    program
      .command('doctor')
      .description('say what this machine offers and what is missing; exit code 1 if training cannot run'),
  )
    .option('--save-dir <folder>', 'where checkpoints and metrics would go')
    .option('--json', 'print the findings as JSON')
    .action(async (options: DoctorOptions) => {
      const { examine } = await import('./doctor/examine.js');
      const examination = await examine(options);
      process.stdout.write(options.json ? `${JSON.stringify(examination)}\n` : formatExamination(examination));
      if (!examination.trainingPossible) throw new CommandExit(1);
    });
}

const STATUS_WIDTH = 'problem'.length + 2;

export function formatExamination({ findings, conclusion }: Examination): string {
  const nameWidth = Math.max(...findings.map(({ name }) => name.length)) + 2;
  const lines = findings.map((finding) => formatFinding(finding, nameWidth));
  return `${lines.join('')}\n${conclusion}\n`;
}

function formatFinding({ name, status, detail, fix }: Finding, nameWidth: number): string {
  const indent = ' '.repeat(STATUS_WIDTH + nameWidth);
  const text = status === 'ok' || fix === undefined ? detail : `${detail}\n${fix}`;
  return `${status.padEnd(STATUS_WIDTH)}${name.padEnd(nameWidth)}${text.replaceAll('\n', `\n${indent}`)}\n`;
}
