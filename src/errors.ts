// The errors a user may meet. Each message has three parts: what happened, what was expected against what came, what to do.
// `exitCode` is what the process ends with; `cli.ts` alone acts on it.

export abstract class LoomError extends Error {
  abstract readonly exitCode: number;
  /** Whether a stack trace helps: never for what the user can mend himself. */
  readonly showStack: boolean = false;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Wrong flags, wrong configuration. */
export class ConfigError extends LoomError {
  readonly exitCode = 2;
}

/** Bad rows, missing or empty data, a bad tokenizer file. */
export class DataError extends LoomError {
  readonly exitCode = 2;
}

/** A checkpoint that is missing, malformed, or made for something else. */
export class CheckpointError extends LoomError {
  readonly exitCode = 2;
}

/** The engine asked for can't be had on this machine. */
export class EngineError extends LoomError {
  readonly exitCode = 2;
}

/** Reading or writing failed: disk full, no permission, broken device. */
export class FileError extends LoomError {
  readonly exitCode = 74;
}

/** Another run uses the folder. */
export class LockError extends LoomError {
  readonly exitCode = 75;
}

/** Loss or gradient stopped being finite. */
export class NonFiniteError extends LoomError {
  readonly exitCode = 3;
}

/** A worker thread died, hung or threw. Names worker and step. */
export class WorkerError extends LoomError {
  readonly exitCode = 1;
  override readonly showStack = true;
}
