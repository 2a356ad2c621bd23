// gpt-loom watch: the dashboard on a run that goes on elsewhere, or is over, out of its metrics file. Wiring only.

import type { Command } from 'commander';
import { addConfigFileOptions, type ConfigOptions, configFromOptions } from './options.js';

export interface WatchOptions extends ConfigOptions {
  readonly plain?: boolean;
}

export function registerWatch(program: Command): void {
  addConfigFileOptions(
    program
      .command('watch')
      .description('open the dashboard on a run that goes on elsewhere, or is over')
      .argument('[folder]', 'save folder of the run (default: save_dir of the configuration)'),
  )
    .option('--plain', 'plain lines instead of the dashboard, until the run ends; exit code 1 if it was killed')
    .action(async (folder: string | undefined, options: WatchOptions) => {
      const { watchRun } = await import('./watch/run.js');
      await watchRun(folder ?? (await configFromOptions(options)).training.saveDir, options);
    });
}
