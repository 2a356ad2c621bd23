// How a command ends with a status of its own without touching the process: it throws this, cli.ts does the rest.

/** Ends the program with `exitCode`; nothing is printed. For outcomes that aren't errors, e.g. a run stopped by a signal (130). */
export class CommandExit extends Error {
  constructor(readonly exitCode: number) {
    super(`exit code ${exitCode}`);
    this.name = 'CommandExit';
  }
}
