// gpt-loom tune: measures which number of threads and which micro-batch size train fastest on this machine. Wiring only.

import type { Command } from 'commander';
import { addMachineOptions, type ConfigOptions, configFromOptions } from './options.js';

export interface TuneOptions extends ConfigOptions {
  readonly budget: string;
  readonly write?: boolean;
  readonly plot?: string;
  readonly json?: boolean;
}

export function registerTune(program: Command): void {
  addMachineOptions(
    program.command('tune').description('find the fastest threads and micro_batch for this machine by measuring'),
  )
    .option('--budget <time>', 'how long it may take, e.g. 30s or 2m', '60s')
    .option(
      '--write',
      'put the result into the configuration file, and keep it for `threads: auto`; exit code 1 if it is uncertain',
    )
    .option('--plot <file>', 'draw the measurements to an SVG file')
    .option('--json', 'print the result as JSON')
    .action(async (options: TuneOptions) => {
      const config = await configFromOptions(options);
      const { tune } = await import('./tune/run.js');
      await tune(config, options);
    });
}
