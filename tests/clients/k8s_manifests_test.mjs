// Renders the overlays of k8s/, the combinations of components in k8s/tests/ and what `vallm deploy
// --runtime k8s` writes, and checks them: against the schemas of the Kubernetes API and of the custom
// resources, against the programs' own flags and metrics, and against each other (selectors, ports,
// addresses, grace periods, the restricted pod security standard).
//
//   node k8s_manifests_test.mjs          exit 77: kubectl or the npm packages are missing
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import {createRequire} from 'node:module';
import path from 'node:path';
import test from 'node:test';
import {fileURLToPath} from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const k8s = path.join(here, '../../k8s');
const bin = process.env.VALLM_BIN_DIR ?? path.join(here, '../../build/release/bin');

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(77);
}

function run(...command) {
  const result = spawnSync(command[0], command.slice(1), {encoding: 'utf8'});
  assert.equal(result.status, 0, `${command.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

if (spawnSync('kubectl', ['version', '--client']).status !== 0) skip('kubectl not found');
let yaml;
try {
  yaml = await import('js-yaml');
  createRequire(import.meta.url).resolve('kubernetes-models/apps/v1/StatefulSet');
} catch {
  skip('npm packages missing: run tests/clients/install.sh');
}

// Where the schemas of custom resources are; those of the API itself are in kubernetes-models.
const packages = {
  'cert-manager.io': '@kubernetes-models/cert-manager',
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};

async function validate(object) {
  const group = object.apiVersion.includes('/') ? object.apiVersion.split('/')[0] : '';
  const {[object.kind]: Model} =
      await import(`${packages[group] ?? 'kubernetes-models'}/${object.apiVersion}/${object.kind}`);
  new Model(object).validate();
}

// The long options that a program's --help lists.
const flagsOf = Object.fromEntries(['engine', 'tokenizer', 'gateway'].map((name) => {
  const help = run(path.join(bin, `vallm-${name}`), '--help');
  return [name, new Set([...help.matchAll(/--([a-z0-9-]+)/g)].map((match) => match[1]))];
}));

const written = fs.mkdtempSync(path.join(os.tmpdir(), 'vallm-k8s-'));
process.on('exit', () => fs.rmSync(written, {recursive: true}));
const model = path.join(here, '../../tools/demo_model/Qwen3-Demo-MoE-FP8');
function deploy(name, ...flags) {
  run(path.join(bin, 'vallm'), 'deploy', '--model', model, '--runtime', 'k8s', '--dry-run', '--output-dir',
      path.join(written, name), ...flags);
  return path.join(written, name, 'overlay');
}

const roots = ['overlays', 'tests'].flatMap((folder) => fs.readdirSync(path.join(k8s, folder))
    .map((name) => [`${folder}/${name}`, path.join(k8s, folder, name)]));
assert.ok(roots.length >= 6);
roots.push(['deploy on dies', deploy('dies', '--image', 'registry.example.com:5000/vallm:1.0', '--device', 'vacc', '--devices',
    '0-7', '--instance', '3', '--tensor-parallel-size', '2', '--max-model-len', '4096', '--served-model-name', 'Qwen3',
    '--k8s-model-claim', 'models', '--k8s-resource', 'vastai.com/va', '--api-key', 'secret', '--chat-template',
    path.join(here, '../data/conformance/templates/qwen3_nonthinking.jinja'), '--default-chat-template-kwargs',
    '{"enable_thinking": false, "quote": "\'it: #x"}', '--background-task-marker', 'one', '--background-task-marker', 'two')]);
roots.push(['deploy on a path of the nodes', deploy('path', '--device', 'cpu', '--k8s-namespace', 'mine')]);

for (const [overlay, root] of roots) {
  const objects = yaml.loadAll(run('kubectl', 'kustomize', root));
  const ofKind = (kind) => objects.filter((object) => object.kind === kind);
  const workloads = [...ofKind('StatefulSet'), ...ofKind('Deployment')];
  const isOurs = ({metadata}) => metadata.name.startsWith('vallm-');
  const containers = workloads.filter(isOurs).flatMap((workload) => workload.spec.template.spec.containers);
  const gatewayConfig = () => {
    const [map] = ofKind('ConfigMap').filter(({metadata}) => metadata.name.startsWith('vallm-gateway'));
    return yaml.load(map.data['gateway.yaml']);
  };

  test(`${overlay}: every object fits its schema`, async () => {
    assert.ok(objects.length >= 6);
    for (const object of objects) await validate(object);
  });

  test(`${overlay}: every flag is one that the program has`, () => {
    assert.equal(containers.length, 3);
    for (const {name, args} of containers) {
      for (const arg of args) {
        const flag = arg.match(/^--([a-z0-9-]+)(=|$)/)?.[1];
        assert.ok(flagsOf[name].has(flag), `${name}: ${arg}`);
      }
    }
    for (const key of Object.keys(gatewayConfig())) assert.ok(flagsOf.gateway.has(key), key);
    const [gateway] = containers.filter(({name}) => name === 'gateway');
    for (const {name} of gateway.env.filter(({name}) => name.startsWith('VALLM_'))) {
      assert.ok(flagsOf.gateway.has(name.slice('VALLM_'.length).toLowerCase().replaceAll('_', '-')), name);
    }
  });

  test(`${overlay}: services find their pods and ports`, () => {
    for (const {metadata, spec} of ofKind('Service')) {
      const [target] = workloads.filter(({spec: {template}}) => Object.entries(spec.selector)
          .every(([label, value]) => template.metadata.labels[label] === value));
      assert.ok(target, metadata.name);
      const ports = target.spec.template.spec.containers.flatMap((container) => container.ports);
      for (const {port, targetPort} of spec.ports) {
        assert.ok(ports.some(({name, containerPort}) => [name, containerPort].includes(targetPort ?? port)),
            `${metadata.name}:${port}`);
      }
    }
  });

  test(`${overlay}: the gateway finds every engine pod`, () => {
    const [engine] = ofKind('StatefulSet');
    const [name, port] = gatewayConfig()['engine-dns'].split(':');
    const [service] = ofKind('Service').filter(({metadata}) => metadata.name === name);
    // Only a headless one has an address per pod, and only this way those of pods that still load.
    assert.equal(service.spec.clusterIP, 'None');
    assert.equal(service.spec.publishNotReadyAddresses, true);
    assert.equal(engine.spec.serviceName, name);
    assert.ok(engine.spec.template.spec.containers[0].ports.some(({containerPort}) => String(containerPort) === port));
    assert.ok(ofKind('Service').some(({metadata}) => `${metadata.name}:50060` === gatewayConfig().tokenizer));
  });

  test(`${overlay}: pods may drain before they are killed`, () => {
    for (const {spec: {template: {spec}}} of workloads.filter(isOurs)) {
      const [container] = spec.containers;
      const drain = container.args.map((arg) => arg.match(/^--drain-timeout=(\d+)$/)?.[1]).find(Boolean) ??
          gatewayConfig()['drain-timeout'];
      const preStop = container.lifecycle?.preStop?.sleep?.seconds ?? 0;
      assert.ok(spec.terminationGracePeriodSeconds > Number(drain) + preStop, container.name);
    }
  });

  test(`${overlay}: pods meet the restricted security standard`, () => {
    for (const workload of workloads) {
      const {spec} = workload.spec.template;
      assert.equal(spec.securityContext.runAsNonRoot, true);
      assert.equal(spec.securityContext.seccompProfile.type, 'RuntimeDefault');
      assert.equal(spec.automountServiceAccountToken, false);
      for (const {securityContext, resources} of spec.containers) {
        assert.equal(securityContext.allowPrivilegeEscalation, false);
        assert.equal(securityContext.readOnlyRootFilesystem, true);
        assert.deepEqual(securityContext.capabilities, {drop: ['ALL']});
        assert.ok(resources.requests.cpu && resources.limits.memory);
      }
    }
  });

  test(`${overlay}: everything that is mounted is there`, () => {
    const given = (kind) => new Set(ofKind(kind).map(({metadata}) => metadata.name));
    for (const {metadata, spec: {template: {spec}}} of workloads) {
      const volumes = new Set((spec.volumes ?? []).map(({name}) => name));
      for (const {volumeMounts = []} of spec.containers) {
        for (const {name} of volumeMounts) assert.ok(volumes.has(name), `${metadata.name}: ${name}`);
      }
      for (const {configMap} of spec.volumes ?? []) {
        if (configMap) assert.ok(given('ConfigMap').has(configMap.name), configMap.name);
      }
    }
  });

  test(`${overlay}: policies, budgets and scalers are about pods that there are`, () => {
    const labels = workloads.map(({spec}) => spec.template.metadata.labels);
    for (const object of [...ofKind('NetworkPolicy'), ...ofKind('PodDisruptionBudget')]) {
      const {matchLabels} = object.spec.podSelector ?? object.spec.selector;
      assert.ok(labels.some((own) => Object.entries(matchLabels).every(([key, value]) => own[key] === value)), object.metadata.name);
    }
    for (const {spec} of [...ofKind('ScaledObject'), ...ofKind('HorizontalPodAutoscaler')]) {
      assert.ok(workloads.some(({kind, metadata}) => kind === spec.scaleTargetRef.kind && metadata.name === spec.scaleTargetRef.name));
    }
    for (const {spec} of ofKind('ServiceMonitor')) {
      const services = ofKind('Service').filter(({metadata}) => Object.entries(spec.selector.matchLabels)
          .every(([key, value]) => metadata.labels?.[key] === value));
      const named = (ports, wanted) => ports.some(({name}) => name === wanted);
      for (const {port, targetPort} of spec.endpoints) {
        assert.ok(port ? services.some((service) => named(service.spec.ports, port)) :
            containers.some((container) => named(container.ports, targetPort)), port ?? targetPort);
      }
    }
  });

  test(`${overlay}: alerts and boards ask for series that there are, and every alert has a runbook`, () => {
    const asked = ofKind('PrometheusRule').flatMap(({spec}) => spec.groups.flatMap(({rules}) => rules.map(({expr}) => expr)));
    const boards = ofKind('ConfigMap').filter(({metadata}) => metadata.labels?.grafana_dashboard);
    for (const {data} of boards) {
      for (const {targets} of JSON.parse(Object.values(data)[0]).panels) asked.push(...targets.map(({expr}) => expr));
    }
    for (const {spec} of ofKind('ScaledObject')) asked.push(...spec.triggers.map(({metadata}) => metadata.query));
    const source = ['gateway/metrics.cc', 'gateway/metrics_text.cc', 'engine_service/engine_metrics.cc', 'gateway/routing/load_totals.cc']
        .map((file) => path.join(here, '../..', file)).filter(fs.existsSync).map((file) => fs.readFileSync(file, 'utf8')).join('');
    for (const expr of asked) {
      // Numbers of instances are each gateway's own.
      assert.doesNotMatch(expr, /by \([^)]*engine/);
      for (const [name] of expr.matchAll(/\b(vllm:|vallm_|http_)[a-z0-9_]+/g)) {
        assert.ok(source.includes(`"${name.replace(/_bucket$/, '')}"`), name);
      }
    }
    const manual = fs.readFileSync(path.join(here, '../../docs/operations.md'), 'utf8').toLowerCase();
    for (const {alert, annotations} of ofKind('PrometheusRule').flatMap(({spec}) => spec.groups.flatMap(({rules}) => rules))) {
      assert.ok(annotations.runbook_url.endsWith(`#${alert.toLowerCase()}`), alert);
      assert.match(manual, new RegExp(`^#+ ${alert.toLowerCase()}$`, 'm'));
    }
  });
}

test('deploy writes what it was asked for', () => {
  const objects = yaml.loadAll(run('kubectl', 'kustomize', path.join(written, 'dies/overlay')));
  const [engine] = objects.filter(({kind}) => kind === 'StatefulSet');
  const [container] = engine.spec.template.spec.containers;
  assert.equal(engine.spec.replicas, 3);
  assert.equal(container.image, 'registry.example.com:5000/vallm:1.0');
  assert.deepEqual(container.command, ['/usr/bin/vallm-engine']);
  assert.equal(container.resources.limits['vastai.com/va'], '2');
  assert.ok(container.args.includes('--tensor-parallel-size=2') && container.args.includes('--device=vacc'));
  assert.ok(!container.args.some((arg) => arg.startsWith('--name') || arg.startsWith('--log-dir')));
  assert.deepEqual(engine.spec.template.spec.volumes[0].persistentVolumeClaim, {claimName: 'models', readOnly: true});
  const tokenizer = objects.find(({kind, metadata}) => kind === 'Deployment' && metadata.name === 'vallm-tokenizer');
  assert.ok(tokenizer.spec.template.spec.containers[0].args.includes(
      '--default-chat-template-kwargs={"enable_thinking": false, "quote": "\'it: #x"}'));
  const config = yaml.load(objects.find(({kind, data}) => kind === 'ConfigMap' && data['gateway.yaml']).data['gateway.yaml']);
  assert.deepEqual(config['background-task-marker'], ['one', 'two']);
  assert.equal(config['served-model-name'], 'Qwen3');
  const secret = objects.find(({kind}) => kind === 'Secret');
  assert.equal(Buffer.from(secret.data['api-key'], 'base64').toString(), 'secret');
});
