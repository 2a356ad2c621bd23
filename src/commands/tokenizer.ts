// `tokenizer build` makes tokenizer.json out of the training data; `tokenizer inspect` shows what it does to a text.
// Loads only the flags; what reads, trains and encodes is imported when a command runs.

import { isUtf8 } from 'node:buffer';
import type { Command } from 'commander';
import { ConfigError, DataError } from '../errors.js';
import { formatCount, formatCounted } from '../ui/format.js';
import { configFromOptions } from './options.js';

export function registerTokenizer(program: Command): void {
  const tokenizer = program.command('tokenizer').description('make a tokenizer, or look into one');
  addConfigFlags(tokenizer.command('build'))
    .description('learn byte-level BPE from the training data')
    .option('--data <files...>', 'JSONL files to learn from (default: data.train_path)')
    .option('--vocab-size <n>', 'at most this many tokens (default: tokenizer.vocab_size)')
    .option('--out <file>', 'where to write it (default: tokenizer.path)')
    .option('--json', 'print the summary as JSON')
    .action(build);
  addConfigFlags(tokenizer.command('inspect'))
    .description('show the tokens of a text: id, piece and bytes')
    .argument('[text...]', 'one or more texts; without any, standard input is read')
    .option('--tokenizer <file>', 'tokenizer.json to look into (default: tokenizer.path)')
    .option('--json', 'print the tokens as JSON')
    .action(inspect);
}

interface ConfigFlags {
  readonly config?: string;
  readonly set?: readonly string[];
}

/** Of the flags that the other commands share, these are the ones a tokenizer depends on. */
function addConfigFlags(command: Command): Command {
  const collect = (value: string, previous: readonly string[] = []) => [...previous, value];
  return command
    .option('--config <file>', 'configuration (default: config.yaml if there is one)')
    .option('--set <key=value>', 'set any key of the configuration; may be repeated', collect);
}

interface BuildFlags extends ConfigFlags {
  readonly data?: readonly string[];
  readonly vocabSize?: string;
  readonly out?: string;
  readonly json?: boolean;
}

async function build(flags: BuildFlags): Promise<void> {
  const vocabSize = flags.vocabSize === undefined ? [] : [`tokenizer.vocab_size=${flags.vocabSize}`];
  const config = await configFromOptions({ config: flags.config, set: [...(flags.set ?? []), ...vocabSize] });
  const { loadRows } = await import('../data/jsonl.js');
  const { encodeSample, formatPrompt } = await import('../data/template.js');
  const { trainBpe } = await import('../tokenizer/train.js');
  const { saveTokenizer } = await import('../tokenizer/save.js');
  const { createTokenizer } = await import('../tokenizer/tokenizer.js');

  const startMs = performance.now();
  const files = flags.data ?? [config.data.trainPath];
  const path = flags.out ?? config.tokenizer.path;
  const rows = files.flatMap((file) => loadRows(file));
  const texts = rows.flatMap(({ prompt, completion }) => [formatPrompt(prompt), completion]);
  const definition = trainBpe(texts, { vocabSize: config.tokenizer.vocabSize });
  saveTokenizer(path, definition);
  const tokenizer = createTokenizer(definition);
  const lengths = rows.map((row) => encodeSample(tokenizer, row, Number.POSITIVE_INFINITY).tokens.length);
  const summary: Summary = {
    path,
    files,
    rows: rows.length,
    vocabSize: tokenizer.vocabSize,
    maxVocabSize: config.tokenizer.vocabSize,
    merges: definition.model.merges.length,
    meanTokensPerRow: lengths.reduce((sum, length) => sum + length, 0) / rows.length,
    seconds: (performance.now() - startMs) / 1000,
    fingerprint: tokenizer.fingerprint,
  };
  process.stdout.write(flags.json ? `${JSON.stringify(summary)}\n` : formatSummary(summary));
}

interface Summary {
  readonly path: string;
  readonly files: readonly string[];
  readonly rows: number;
  readonly vocabSize: number;
  readonly maxVocabSize: number;
  readonly merges: number;
  /** `<bos>` prompt `<eos>` answer `<eos>`, nothing cut off. */
  readonly meanTokensPerRow: number;
  readonly seconds: number;
  readonly fingerprint: string;
}

function formatSummary({
  path,
  files,
  rows,
  vocabSize,
  maxVocabSize,
  merges,
  meanTokensPerRow,
  seconds,
}: Summary): string {
  const isShort =
    vocabSize < maxVocabSize ? `; the data has no more pairs, ${formatCount(maxVocabSize)} were allowed` : '';
  return (
    `${path}: ${formatCount(vocabSize)} tokens, ${formatCount(merges)} of them merges${isShort}\n` +
    `  learnt from ${formatCounted(rows, 'row')} of ${files.join(', ')} in ${seconds.toFixed(2)} s\n` +
    `  a row has ${meanTokensPerRow.toFixed(1)} tokens on average\n`
  );
}

interface InspectFlags extends ConfigFlags {
  readonly tokenizer?: string;
  readonly json?: boolean;
}

async function inspect(texts: readonly string[], flags: InspectFlags): Promise<void> {
  const path = flags.tokenizer ?? (await configFromOptions(flags)).tokenizer.path;
  const given = texts.length > 0 ? texts : [await readStdin()];
  const { loadTokenizer } = await import('../tokenizer/tokenizer.js');
  const { formatInspection, inspectText } = await import('../tokenizer/inspect.js');
  const tokenizer = loadTokenizer(path);
  const inspections = given.map((text) => inspectText(tokenizer, text));
  const output = flags.json ? `${JSON.stringify(inspections)}\n` : inspections.map(formatInspection).join('\n');
  process.stdout.write(output);
}

/** All of it, without the line end that `echo` adds. */
async function readStdin(): Promise<string> {
  if (process.stdin.isTTY) {
    throw new ConfigError(
      'tokenizer inspect has no text to look at.\n  Give one, gpt-loom tokenizer inspect "什么是词元？", or pipe one in.',
    );
  }
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (!isUtf8(bytes)) {
    throw new DataError(
      'The text on standard input is not UTF-8.\n' +
        '  It would be looked at with other characters. Convert it, for example: iconv -f GB18030 -t UTF-8 old.txt',
    );
  }
  return bytes.toString('utf8').replace(/\r?\n$/, '');
}
