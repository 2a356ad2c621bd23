// gpt-loom bench: how fast this machine is, and how much of that kernels, training and answers get out of it. Wiring only.

import type { Command } from 'commander';
import { addMachineOptions, type ConfigOptions, configFromOptions } from './options.js';

export interface BenchOptions extends ConfigOptions {
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly rows?: string;
  readonly sequence?: string;
}

export function registerBench(program: Command): void {
  addMachineOptions(
    program
      .command('bench')
      .description('measure this machine, the kernels, a training step by phase, and answers; keep the peak for train'),
  )
    .option('--quick', 'a few seconds instead of most of a minute: rougher figures')
    .option('--rows <n>', 'tokens of the micro-batch that the kernels work on (default: as in the data)')
    .option('--sequence <n>', 'least tokens of a training sample, answers are joined for it (default: as in the data)')
    .option('--json', 'print the figures as one JSON object')
    .action(async (options: BenchOptions) => {
      const config = await configFromOptions(options);
      const { bench } = await import('./bench/run.js');
      await bench(config, options);
    });
}
