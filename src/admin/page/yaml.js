// Writes plain data as YAML that reads back as the same data.

export function toYaml(value, lead = '') {
  if (Array.isArray(value)) return value.map((item) => `${lead}- ${after(item, `${lead}  `)}`).join('\n');
  return Object.entries(value ?? {})
    .filter(([, item]) => item !== undefined && item !== null)
    .map(([key, item]) => `${lead}${scalar(key)}:${below(item, lead)}`)
    .join('\n');
}

const isTree = (value) => value !== null && typeof value === 'object' && Object.keys(value).length > 0;

// A list's item begins on the line of its dash.
const after = (item, lead) => (isTree(item) ? toYaml(item, lead).slice(lead.length) : scalar(item));

const below = (item, lead) => (isTree(item) ? `\n${toYaml(item, `${lead}  `)}` : ` ${scalar(item)}`);

function scalar(value) {
  if (Array.isArray(value)) return '[]';
  if (value !== null && typeof value === 'object') return '{}';
  if (typeof value !== 'string') return String(value);
  const plain = /^([A-Za-z_/$.][\w\-./:$@{}…]*|\d+[A-Za-z]+|\d+(\.\d+){3})$/.test(value) && !/^\d+e\d*$/i.test(value) && !value.endsWith(':') && !/^(true|false|null|yes|no|on|off|~)$/i.test(value);
  return plain ? value : JSON.stringify(value);
}
