// What somebody asks the model that is being trained, until the run comes to it. After the run's end nobody answers any more.

export interface Question {
  readonly prompt: string;
  readonly resolve: (text: string) => void;
  readonly reject: (error: unknown) => void;
}

export class Questions {
  private waiting: Question[] = [];
  private isClosed = false;

  /** `onAsked` is called after each question. */
  constructor(private readonly onAsked: () => void) {}

  get areThereAny(): boolean {
    return this.waiting.length > 0;
  }

  /** Resolves with the answer; rejects when the run has ended. */
  ask(prompt: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ prompt, resolve, reject });
      if (this.isClosed) this.close();
      else this.onAsked();
    });
  }

  /** All that wait, each once. */
  take(): Question[] {
    const taken = this.waiting;
    this.waiting = [];
    return taken;
  }

  close(): void {
    this.isClosed = true;
    for (const { reject } of this.take()) reject(new Error('the run has ended'));
  }
}
