// A request as a curl command through this proxy. Credentials are not in the log, so none can be in it.

const LEFT_OUT = /^(host|content-length|connection|authorization|x-api-key|cookie|proxy-authorization|accept-encoding|transfer-encoding|expect)$/;

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// `listen`: where the proxy takes requests in; `token`: whether it wants a token.
export function curlOf(record, listen, token) {
  const headers = Object.entries(record.request.headers ?? {}).filter(([name, value]) => !LEFT_OUT.test(name) && !value.includes('[redacted]'));
  const lines = [`curl -N ${quoted(`http://${listen}${record.path}`)}`];
  if (record.method !== 'GET' && record.method !== 'POST') lines.push(`-X ${record.method}`);
  // Double quotes: the shell puts the value in, and it never stands here.
  if (token) lines.push('-H "x-api-key: $ANTHROPIC_AUTH_TOKEN"');
  for (const [name, value] of headers) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  const body = record.request.encoding ? '' : record.request.body ?? '';
  // No system takes a longer argument, but for what the shell does by itself.
  if (new Blob([body]).size > 100_000) return `printf %s ${quoted(body)} | ${[...lines, '--data-binary @-'].join(' \\\n  ')}`;
  if (body) lines.push(`--data-raw ${quoted(body)}`);
  return lines.join(' \\\n  ');
}
