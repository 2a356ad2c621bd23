// gpt-loom train: configuration, data and tokenizer -> a training run, shown and recorded. Wiring only.

import type { Command } from 'commander';
import { addConfigOptions, type ConfigOptions, configFromOptions } from './options.js';

export interface TrainOptions extends ConfigOptions {
  readonly resume?: boolean;
  readonly plain?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** False with --no-acceptance. */
  readonly acceptance?: boolean;
}

export function registerTrain(program: Command): void {
  addConfigOptions(
    program.command('train').description('train the model of config.yaml; the dashboard opens on a terminal'),
  )
    .option('--resume', 'continue the run in the save folder from its last checkpoint')
    .option('--plain', 'plain lines instead of the dashboard')
    .option('--json', 'one JSON object per event on stdout')
    .option('--quiet', 'warnings and the summary alone, no questions at the end')
    .option('--no-acceptance', 'leave out the questions put to the best checkpoint at the end')
    .action(async (options: TrainOptions) => {
      const config = await configFromOptions(options);
      const { prepareRun } = await import('./train/prepare.js');
      const { followRun } = await import('./train/follow.js');
      await followRun(await prepareRun(config, options), options);
    });
}
