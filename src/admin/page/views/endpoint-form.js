// Adds or changes an endpoint: fill in, test if wanted, see the change of the file, write it.
import { changeFile, endpointPath, post, revision } from '../api.js';
import { t } from '../i18n.js';
import { endpointList, loadEndpoints, status } from '../store.js';
import { html, useEffect, useRef, useState } from '../ui.js';
import { Dialog, focusIfLost } from '../parts/dialog.js';
import { Diff } from '../parts/diff.js';
import { Field, Choice } from '../parts/field.js';
import { icon } from '../parts/icons.js';
import { toast } from '../parts/notes.js';
import { TestResult } from './test-result.js';

const OPTIONAL = ['path_prefix', 'http', 'proxy', 'ca_file'];
const AUTH_TYPES = ['api_key', 'auth_token', 'passthrough'];
const FIELDS = ['name', 'url', 'auth_type', 'auth_value', 'priority', ...OPTIONAL];

function initial(endpoint) {
  if (!endpoint) return { name: '', url: 'https://', auth_type: 'api_key', auth_value: '', priority: '1', path_prefix: '', http: '', proxy: '', ca_file: '' };
  const text = (value) => (value === null || value === undefined ? '' : String(value));
  return { ...Object.fromEntries(FIELDS.map((name) => [name, text(endpoint[name])])), auth_value: '', path_prefix: endpoint.path_prefix === '/v1' ? '' : text(endpoint.path_prefix), http: endpoint.http === '1.1' ? '' : text(endpoint.http) };
}

// What differs from what there is, as the API takes it; an emptied optional key is taken out.
function changeOf(values, before, isNew) {
  const change = {};
  for (const name of FIELDS) {
    const value = values[name].trim();
    if (name === 'auth_value' ? value === '' : !isNew && value === before[name]) continue;
    if (isNew && value === '') continue;
    if (name === 'priority') change.priority = Number.parseInt(value, 10);
    else change[name] = value === '' && OPTIONAL.includes(name) ? null : value;
  }
  if (values.auth_type === 'passthrough' && before.auth_type !== 'passthrough' && !isNew) change.auth_value = null;
  return change;
}

function ownFault(values, isNew, before) {
  if (!values.name.trim()) return { field: 'name', message: t('form.name_missing') };
  if (!/^https?:\/\/[^/]/.test(values.url.trim())) return { field: 'url', message: t('form.url_wrong') };
  const needsKey = values.auth_type !== 'passthrough' && (isNew || before.auth_type === 'passthrough');
  if (needsKey && !values.auth_value.trim()) return { field: 'auth_value', message: t('form.key_missing') };
  if (!/^-?\d+$/.test(values.priority.trim())) return { field: 'priority', message: t('form.priority_wrong') };
  return null;
}

export function EndpointForm({ endpoint, onClose }) {
  const isNew = !endpoint;
  const before = useRef(initial(endpoint)).current;
  const madeFrom = useRef(revision.peek());
  const [values, setValues] = useState(before);
  const [fault, setFault] = useState(null);
  const [test, setTest] = useState(null);
  const [preview, setPreview] = useState(null);
  const [busy, setBusy] = useState(false);
  // What had the focus when it was asked whether to discard.
  const [asked, setAsked] = useState(null);
  const form = useRef(null);

  useEffect(() => {
    if (fault?.field) form.current?.elements[fault.field]?.focus();
    else if (fault) focusIfLost('form-refused');
  }, [fault]);
  useEffect(() => {
    if (preview) focusIfLost('dialog-title');
    else if (!fault) focusIfLost('field-name');
  }, [preview]);
  const isChanged = FIELDS.some((name) => values[name] !== before[name]);
  const leave = (isClosed) => (isChanged && !isClosed ? setAsked((old) => old ?? document.activeElement) : onClose());
  const keep = () => {
    asked.focus();
    focusIfLost(preview ? 'dialog-title' : 'field-name');
    setAsked(null);
  };
  const set = (name) => (value) => {
    setValues((old) => ({ ...old, [name]: value }));
    if (fault?.field === name) setFault(null);
  };
  const send = (query) => {
    const body = { ...changeOf(values, before, isNew), revision: madeFrom.current };
    return isNew ? changeFile('POST', `/api/endpoints${query}`, body) : changeFile('PATCH', `${endpointPath(endpoint.name)}${query}`, body);
  };
  // Runs one step; a refusal goes to the field it is about.
  const attempt = async (work) => {
    if (busy) return;
    const own = ownFault(values, isNew, before);
    setFault(own);
    if (own) return;
    setBusy(true);
    try {
      await work();
    } catch (problem) {
      setPreview(null);
      setFault(problem);
    }
    setBusy(false);
  };
  const review = (event) => {
    event?.preventDefault();
    return attempt(async () => setPreview(await send('?dry_run=true')));
  };
  const write = () => attempt(async () => {
    // What was shown is what is written.
    madeFrom.current = preview.revision ?? madeFrom.current;
    await send('');
    toast(t(isNew ? 'endpoint.added_toast' : 'endpoint.changed_toast', { name: values.name }), { kind: 'good' });
    onClose();
    await loadEndpoints();
    focusIfLost(`endpoint-${values.name.trim()}`);
  });
  const tryOut = () => attempt(async () => {
    setTest({ busy: true });
    try {
      const name = isNew ? values.name.trim() : endpoint.name;
      setTest({ view: await post(endpointPath(name, 'test'), changeOf(values, before, isNew)) });
    } catch (problem) {
      setTest(null);
      throw problem;
    }
  });
  const takeNewest = async () => {
    await loadEndpoints();
    madeFrom.current = undefined;
    setFault(null);
    review();
  };
  const back = html`<button key="back" onClick=${() => setPreview(null)}>${t('act.back')}</button>`;
  const actions = asked
    ? html`<${Discard} discard=${onClose} keep=${keep} />`
    : preview
      ? html`${back}${preview.diff
          ? html`<button key="write" class="primary" aria-disabled=${busy} onClick=${write}>${icon('check')}${t('form.write')}</button>`
          : html`<button key="close" class="primary" onClick=${onClose}>${t('act.close')}</button>`}`
      : html`<button key="test" onClick=${tryOut} aria-disabled=${busy}>${icon('bolt')}${t('act.test')}</button><span key="gap" class="grow"></span>
        <button key="cancel" onClick=${onClose}>${t('act.cancel')}</button><button key="review" class="primary" type="submit" form="endpoint-form" aria-disabled=${busy}>${t('form.review')}</button>`;
  const isFirst = isNew && !status.value?.config.file;
  return html`<${Dialog} wide title=${isNew ? t('endpoint.add') : t('endpoint.edit_title', { name: endpoint.name })} onClose=${leave} actions=${actions}>
    ${fault && !shownAtField(fault) && html`<${Refused} problem=${fault} takeNewest=${takeNewest} />`}
    ${isFirst && html`<${FirstFile} />`}
    ${preview
      ? html`${preview.diff && !isFirst && html`<p>${t('form.will_write')}</p>`}<${Diff} view=${preview} />${preview.restart_needed?.length > 0 && html`<p class="notice warn">${t('config.restart_needed')} ${preview.restart_needed.join(', ')}</p>`}`
      : html`<form id="endpoint-form" ref=${form} noValidate onSubmit=${review} autocomplete="off"><${Fields} values=${values} set=${set} fault=${fault} endpoint=${endpoint} /></form>`}
    ${test && !preview && html`<${TestResult} ...${test} />`}
  <//>`;
}

function Discard({ discard, keep }) {
  useEffect(() => document.getElementById('form-keep').focus(), []);
  return html`<p class="grow" role="alert">${t('form.discard_ask')}</p><button class="danger" onClick=${discard}>${t('form.discard')}</button>
    <button id="form-keep" class="primary" onClick=${keep}>${t('form.keep')}</button>`;
}

// The first file takes the place of what is built in.
function FirstFile() {
  const names = (endpointList.value?.endpoints ?? []).map((one) => one.name).join(', ');
  return html`<div class="notice">${icon('alert')}<div>${t('form.first_file', { path: status.value?.config.would_write ?? 'config.yaml' })}${names && html`<small>${t('form.first_replaces', { name: names })}</small>`}</div></div>`;
}

const shownAtField = (fault) => FIELDS.includes(fault.field);

function Refused({ problem, takeNewest }) {
  const conflict = problem.status === 409 && problem.code === 'conflict';
  return html`<div id="form-refused" class="notice bad" role="alert" tabindex="-1">${icon('alert')}<div><strong>${problem.message}</strong>${problem.hint && html`<small class="pre">${problem.hint}</small>`}
    ${conflict && html`<small>${t('form.conflict')}</small>`}</div>
    ${conflict && html`<button class="small" onClick=${takeNewest}>${t('form.take_newest')}</button>`}</div>`;
}

function Fields({ values, set, fault, endpoint }) {
  const shared = (name) => ({ name, label: t(`field.${name}`), value: values[name], onInput: set(name), fault: fault?.field === name ? fault : null });
  const kept = endpoint?.auth_value && t('field.auth_value_kept', { value: endpoint.auth_reference ?? endpoint.auth_value });
  const isOpen = OPTIONAL.some((name) => values[name] !== '' || fault?.field === name);
  return html`
    <div class="field-row"><${Field} ...${shared('name')} hint=${t('field.name_hint')} autofocus /><${Field} ...${shared('priority')} hint=${t('field.priority_hint')} inputmode="numeric" /></div>
    <${Field} ...${shared('url')} hint=${t('field.url_hint')} mono inputmode="url" />
    <${Choice} ...${shared('auth_type')} options=${AUTH_TYPES.map((type) => [type, t(`auth.${type}`), t(`auth.${type}_hint`)])} />
    ${values.auth_type !== 'passthrough' && html`<${Field} ...${shared('auth_value')} hint=${t('field.auth_value_hint')} placeholder=${kept || '\${ANTHROPIC_API_KEY}'} mono secret />`}
    <details class="more-fields" open=${isOpen}><summary>${t('form.more')}</summary>
      <div class="field-row"><${Field} ...${shared('path_prefix')} placeholder="/v1" hint=${t('field.path_prefix_hint')} mono />
        <${Choice} ...${shared('http')} options=${[['', '1.1'], ['2', '2'], ['auto', 'auto']]} /></div>
      <${Field} ...${shared('proxy')} placeholder="http://127.0.0.1:3128" hint=${t('field.proxy_hint')} mono />
      <${Field} ...${shared('ca_file')} placeholder="corp.pem" hint=${t('field.ca_file_hint')} mono />
    </details>`;
}
