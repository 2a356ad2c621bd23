// Whether there is a terminal for the dashboard, and opening it. Ink and React cost half a second and read the
// environment when they are imported, so that is prepared here and they are loaded last.

import type { WriteStream } from 'node:tty';
import type { Dashboard, DashboardOptions } from './dashboard.js';

export interface OutputFlags {
  readonly plain?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export interface DashboardCheck {
  readonly stdin: { readonly isTTY?: boolean };
  readonly stdout: { readonly isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
  readonly flags: OutputFlags;
}

/** The dashboard needs a terminal on both sides that understands escape sequences, and a user who wants to look at it. */
export function shouldUseDashboard({ stdin, stdout, env, flags }: DashboardCheck): boolean {
  if (flags.plain || flags.json || flags.quiet) return false;
  if (!stdin.isTTY || !stdout.isTTY) return false;
  if (isSet(env.CI) || isSet(env.CONTINUOUS_INTEGRATION)) return false;
  // A screen reader can't follow a picture that changes in place.
  return env.TERM !== 'dumb' && !isSet(env.INK_SCREEN_READER);
}

/** Opens the dashboard. `env` is changed where Ink and React look at it: NODE_ENV, FORCE_COLOR. */
export async function openDashboard(
  options: Omit<DashboardOptions, 'hasColour'>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Dashboard> {
  const hasColour = wantsColour(options.stdout, env);
  // React's development build keeps a record of every render for ever.
  env.NODE_ENV = 'production';
  if (!hasColour) env.FORCE_COLOR = '0';
  const { runDashboard } = await import('./dashboard.js');
  return runDashboard({ ...options, hasColour });
}

/** https://no-color.org: any value but the empty one. FORCE_COLOR as Node reads it, which also knows the terminal. */
export function wantsColour(stdout: Pick<WriteStream, 'hasColors'>, env: NodeJS.ProcessEnv): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false;
  if (env.FORCE_COLOR === '0' || env.FORCE_COLOR === 'false') return false;
  return stdout.hasColors(env);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}
