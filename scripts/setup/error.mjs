// Apart from main.mjs, so that the steps and main.mjs don't import each other.

/** A step that can't be done; the message is for the user, with what to do about it. */
export class SetupError extends Error {
  /** `exitCode` is what the set-up ends with. */
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
