// The admin API. Every failure is a Problem, so that callers have one thing to show.
import { t } from './i18n.js';
import { signal } from './ui.js';

// Whether the proxy asked for its token.
export const locked = signal(false);

// The config file's revision as the last answer or `config` event told it: what a change made now counts on. The status
// that comes each second tells it too, but may be older than the answer to a change.
export const revision = signal(undefined);

export class Problem extends Error {
  constructor(status, detail) {
    super(detail.message || `HTTP ${status}`);
    Object.assign(this, { status, code: detail.code ?? '', hint: detail.hint, field: detail.field, span: detail.span });
  }
}

export const get = (path, options) => call('GET', path, undefined, options);
export const post = (path, body, options) => call('POST', path, body, options);

// Answers what the API answered, as a value; an empty answer is null.
export async function call(method, path, body, options = {}) {
  const init = { method, signal: options.signal, headers: { accept: 'application/json' }, cache: 'no-store' };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['content-type'] = 'application/json';
  }
  const { answer, text } = await reach(path, init);
  if (answer.ok) return told(text ? JSON.parse(text) : null);
  throw refusal(answer, text);
}

function told(value) {
  if (value?.revision) revision.value = value.revision;
  return value;
}

async function reach(path, init) {
  try {
    const answer = await fetch(path, init);
    return { answer, text: await answer.text() };
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    // What the browser says of it is in the browser's words, and in its language.
    throw new Problem(0, { code: 'unreachable', message: t('feed.gone') });
  }
}

export function refusal(answer, text) {
  if (answer.status === 401) locked.value = true;
  let detail = {};
  try {
    detail = JSON.parse(text).error ?? {};
  } catch {
    // Somebody else's answer, or none: the status has to do.
  }
  return new Problem(answer.status, detail);
}

// A change of the file that counts on `body.revision`. A file that was broken since has another revision too: then the
// true reason is what a rehearsal without it is refused for.
export async function changeFile(method, path, body) {
  try {
    return await call(method, path, body);
  } catch (problem) {
    if (problem.code !== 'conflict' || !body.revision) throw problem;
    await call(method, `${path.split('?')[0]}?dry_run=true`, { ...body, revision: undefined });
    throw problem;
  }
}

export const endpointPath = (name, act = '') => `/api/endpoints/${encodeURIComponent(name)}${act && `/${act}`}`;
