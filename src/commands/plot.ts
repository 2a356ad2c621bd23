// gpt-loom plot: the metrics of one or several runs -> an SVG file, and a chart on the terminal. Wiring only.

import type { Command } from 'commander';
import { addConfigFileOptions, type ConfigOptions } from './options.js';

export interface PlotOptions extends ConfigOptions {
  readonly out?: string;
  readonly lang: string;
  readonly json?: boolean;
}

export function registerPlot(program: Command): void {
  addConfigFileOptions(
    program
      .command('plot')
      .description('draw loss, learning rate and throughput of one or several runs to SVG and on the terminal')
      .argument('[folder...]', 'save folders of runs (default: save_dir of the configuration)'),
  )
    .option('--out <file>', 'the SVG file (default: plot.svg in the folder of a single run, else here)')
    .option('--lang <en|zh>', 'language of the labels', 'en')
    .option('--json', 'print the figures of the runs as JSON instead of the chart')
    .action(async (folders: string[], options: PlotOptions) => {
      const { plotRuns } = await import('./plot/draw.js');
      await plotRuns(folders, options);
    });
}
