// The flags that several commands share: where the configuration comes from, and the common keys by name.
// Light on purpose: `--help` loads this file, so the configuration code (and valibot) is imported when a command runs.

import type { Command } from 'commander';
import type { Config } from '../config/config.js';
import { quoteWord } from '../ui/shell.js';

/** What commander hands to an action of a command with some of these flags. Values are checked by the configuration. */
export interface ConfigOptions {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly threads?: string;
  readonly maxSteps?: string;
  readonly saveDir?: string;
  readonly engine?: string;
  readonly precision?: string;
  readonly seed?: string;
}

/** Adds --config, --set and the flags of the common keys; their order of worth: flags, then --set, then the file. */
export function addConfigOptions(command: Command): Command {
  return addMachineOptions(command)
    .option('--max-steps <n>', 'steps to train')
    .option('--save-dir <folder>', 'where checkpoints and metrics go')
    .option('--seed <n>', 'seed of weights, order and dropout');
}

/** Of these flags, those that tell what computes: for commands that measure. */
export function addMachineOptions(command: Command): Command {
  return addConfigFileOptions(command)
    .option('--threads <n>', 'worker threads, or auto')
    .option('--engine <name>', 'auto, native or tfjs')
    .option('--precision <name>', 'auto, fp32 or bf16');
}

/** Adds --config and --set alone, for commands that train nothing. */
export function addConfigFileOptions(command: Command): Command {
  return command
    .option('--config <file>', 'configuration (default: config.yaml if there is one)')
    .option('--set <key=value>', 'set any key of the configuration, e.g. training.lr=1e-3; may be repeated', collect);
}

/** The frozen configuration that these options ask for. Throws ConfigError. */
export async function configFromOptions(options: ConfigOptions): Promise<Config> {
  const { loadConfig } = await import('../config/load.js');
  const { config, set, threads, maxSteps, saveDir, engine, precision, seed } = options;
  return loadConfig({
    configPath: config,
    sets: set,
    flags: { threads, maxSteps, saveDir, engine, precision, seed },
  });
}

const FLAGS = {
  config: '--config',
  set: '--set',
  threads: '--threads',
  maxSteps: '--max-steps',
  saveDir: '--save-dir',
  engine: '--engine',
  precision: '--precision',
  seed: '--seed',
} as const;

/** Those of these options that were given, as one types them behind a command: ` --max-steps 300 --set a.b=c`. */
export function typedFlags(
  options: ConfigOptions,
  names: readonly (keyof ConfigOptions)[] = Object.keys(FLAGS) as (keyof ConfigOptions)[],
): string {
  return names
    .flatMap((name) => [options[name] ?? []].flat().map((value) => ` ${FLAGS[name]} ${quoteWord(value)}`))
    .join('');
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}
