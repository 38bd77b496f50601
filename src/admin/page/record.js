// A request's record in people's words and numbers. Plain values.
import { t, word } from './i18n.js';
import { bytes, duration } from './format.js';

// `claude-opus-4-8-20260201` is opus-4-8.
export function shortModel(model) {
  if (!model) return '';
  return model.split('/').pop().replace(/^claude-/, '').replace(/[-@]\d{8}$/, '');
}

// The endpoints in the order they were tried, one asked twice in a row once.
export function tried(record) {
  const names = record.attempts.map((attempt) => attempt.endpoint);
  const path = names.filter((name, at) => name !== names[at - 1]);
  return path.length ? path : [record.endpoint].filter(Boolean);
}

export const pathOnly = (path = '') => path.split('?')[0];

// All input tokens, those from the cache too.
export const inputTokens = ({ usage }) => (usage ? (usage.input ?? 0) + (usage.cache_read ?? 0) + (usage.cache_creation ?? 0) : undefined);

export const failedAttempts = (record) => record.attempts.filter((attempt) => attempt.fault);

export function attemptSentence(attempt) {
  const what = word('fault', attempt.fault);
  const status = attempt.status ? ` (${attempt.status})` : '';
  return t('say.attempt', { name: attempt.endpoint, what: what + status, time: duration(attempt.duration_ms) });
}

// What happened, for a person who has not seen the request.
export function story(record) {
  const failed = failedAttempts(record);
  const last = record.attempts.at(-1);
  const before = last?.fault || record.ending === 'failed' || record.ending === 'cut' ? failed.slice(0, record.ending === 'cut' ? -1 : undefined) : failed;
  const parts = before.map(attemptSentence);
  parts.push(t(`say.${record.ending}`, {
    name: record.endpoint ?? t('say.nobody'),
    status: record.status,
    time: duration(record.duration_ms),
    first: duration(record.first_byte_ms),
    size: bytes(record.response?.size ?? 0),
  }));
  return parts.join(' ');
}
