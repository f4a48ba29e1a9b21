#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/cure, as kubectl renders it and as ld.so takes it: test-cure.py DEPLOY ADVICE_C."""
import copy
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import tap
from lib import Skip

DEPLOY, ADVICE = (os.path.abspath(p) for p in sys.argv[1:3])
CURE = os.path.join(DEPLOY, 'cure')
PRELOADED = ('jemalloc', 'tcmalloc', 'mimalloc')
SETTINGS = ('arena-max', 'mmap-threshold') # no library
COMPONENTS = PRELOADED + SETTINGS
FAMILIES = ('debian', 'alpine', 'rhel')
KINDS = ('Deployment', 'StatefulSet', 'DaemonSet')
AGENT = '/opt/agent.so'


def read(*path):
    with open(os.path.join(*path), encoding='utf-8') as f:
        return f.read()


def yaml():
    try:
        import yaml as module # pylint: disable=import-outside-toplevel
    except ImportError as e:
        raise Skip('python3-yaml is not installed') from e
    return module


def kubectl():
    cached = glob.glob(os.path.expanduser('~/.cache/plateau-e2e/*/kubectl'))
    found = shutil.which('kubectl') or (cached[0] if cached else None)
    if not found:
        raise Skip('kubectl is neither in PATH nor built by tests/e2e')
    return found


def workload(kind, name, cure, copied, env=()):
    """One with two containers; the second is nobody's business."""
    labels = {'plateau.dev/cure': cure, 'plateau.dev/sidecar': 'true'}
    if copied:
        labels['plateau.dev/cure-library'] = 'copied'
    main = {'name': 'app', 'image': 'app:1', **({'env': list(env)} if env else {})}
    return {'apiVersion': 'apps/v1', 'kind': kind, 'metadata': {'name': name, 'labels': labels},
            'spec': {'selector': {'matchLabels': {'app': name}}, 'template': {
                'metadata': {'labels': {'app': name}},
                'spec': {'containers': [main, {'name': 'other', 'image': 'other:1'}]}}}}


def sample(cure, copied):
    """Each kind, one that preloads something already, and one that did not ask for it."""
    env = [{'name': 'A', 'value': 'b'}, {'name': 'LD_PRELOAD', 'value': AGENT}]
    return [workload(kind, kind.lower(), cure, copied) for kind in KINDS] + [
        workload('Deployment', 'agent', cure, copied, env), workload('Deployment', 'not-asked', 'none', False)]


def render(objects, *components):
    """Return: {name: object}; kustomize's own words where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'objects.yaml'), 'w', encoding='utf-8') as f:
            yaml().safe_dump_all(objects, f)
        with open(os.path.join(folder, 'kustomization.yaml'), 'w', encoding='utf-8') as f:
            yaml().safe_dump({'apiVersion': 'kustomize.config.k8s.io/v1beta1', 'kind': 'Kustomization',
                              'resources': ['objects.yaml'],
                              'components': [os.path.relpath(os.path.join(DEPLOY, c), os.path.realpath(folder))
                                             for c in components]}, f)
        r = subprocess.run([kubectl(), 'kustomize', folder], capture_output=True, text=True, check=False, timeout=50)
    if r.returncode:
        raise RuntimeError(r.stderr.strip())
    found = list(yaml().safe_load_all(r.stdout))
    return {o['metadata']['name']: o for o in found}


def pod(thing):
    return thing['spec']['template']['spec']


def environment(container):
    return {e['name']: e['value'] for e in container.get('env', [])}


def values(component):
    [container] = yaml().safe_load(read(CURE, component, 'values.yaml'))['template']['spec']['containers']
    return environment(container)


def check_env(component, folder=''):
    """What all containers of the sample have, after the component."""
    want = values(component)
    objects = sample(component, bool(folder))
    got = render(objects, 'cure/' + component, *(['cure/copied'] if folder else []))
    assert set(got) == {o['metadata']['name'] for o in objects}, list(got)
    for name in [k.lower() for k in KINDS] + ['agent']:
        main, other = pod(got[name])['containers']
        env = environment(main)
        before = {'A': 'b', 'LD_PRELOAD': AGENT} if name == 'agent' else {}
        expected = {**before, **want}
        if 'LD_PRELOAD' in want:
            expected['LD_PRELOAD'] = f'{folder}{want["LD_PRELOAD"]}:{before.get("LD_PRELOAD", "")}'
        assert env == expected, (name, env, expected)
        assert other == {'name': 'other', 'image': 'other:1'}, other
    plain = next(o for o in objects if o['metadata']['name'] == 'not-asked')
    assert got['not-asked'] == plain, got['not-asked']
    return got


def test_components():
    """Each component sets what it says, in the first container of those with its label, and in nothing else"""
    for component in COMPONENTS:
        check_env(component)


def test_all_at_once():
    """All of them in one kustomization: each workload gets its own"""
    objects = [workload('Deployment', c, c, False) for c in COMPONENTS]
    got = render(objects, *('cure/' + c for c in COMPONENTS))
    for component in COMPONENTS:
        env = environment(pod(got[component])['containers'][0])
        assert {k: v.rstrip(':') for k, v in env.items()} == values(component), (component, env)


def test_copied():
    """copied: the init container fills the folder that the preloaded name is in; restricted; read only in the app"""
    for component in PRELOADED:
        got = check_env(component, '/plateau-cure/')
        for name in [k.lower() for k in KINDS]:
            spec = pod(got[name])
            [init] = spec['initContainers']
            assert init['volumeMounts'] == [{'name': 'plateau-cure', 'mountPath': '/plateau-cure'}], init
            assert [v['name'] for v in spec['volumes']] == ['plateau-cure'] and 'emptyDir' in spec['volumes'][0]
            [mount] = spec['containers'][0]['volumeMounts']
            assert mount == {'name': 'plateau-cure', 'mountPath': '/plateau-cure', 'readOnly': True}, mount
            security = init['securityContext']
            assert security['runAsNonRoot'] and security['runAsUser'] > 0 and security['readOnlyRootFilesystem']
            assert security['capabilities'] == {'drop': ['ALL']} and not security['allowPrivilegeEscalation']
            assert init['resources']['requests'] == init['resources']['limits'], 'Guaranteed has to stay so'


def test_copied_alone():
    """copied without an allocator before it is refused, not half applied"""
    try:
        got = render([workload('Deployment', 'alone', 'jemalloc', True)], 'cure/copied')
    except RuntimeError as e:
        assert 'LD_PRELOAD' in str(e), e
    else:
        raise AssertionError(got)


def test_beside_the_sidecar():
    """The sidecar beside it is the same with and without the cure, native or not, in either order"""
    for behind in ([], ['kustomize/overlays/pre-1.29']):
        sidecar = ['kustomize/overlays/same-uid'] + behind
        cure = ['cure/jemalloc', 'cure/copied']
        objects = sample('jemalloc', True)
        without = render(objects, *sidecar)
        for order in (sidecar + cure, cure + sidecar):
            got = render(objects, *order)
            for name in [k.lower() for k in KINDS]:
                find = lambda o: [c for c in pod(o).get('initContainers', []) + pod(o)['containers'] # noqa: E731
                                  if c['name'] == 'plateau']
                assert find(got[name]) == find(without[name]) != [], (name, order)
                assert 'LD_PRELOAD' in environment(pod(got[name])['containers'][0])


def test_copies():
    """What the init container runs copies a library as a file, and does so again"""
    [container] = yaml().safe_load(read(CURE, 'copied', 'values.yaml'))['template']['spec']['containers']
    [mount] = container['volumeMounts']
    [*command, source, into] = yaml().safe_load(read(CURE, 'copied', 'library.yaml'))[
        'spec']['template']['spec']['initContainers'][0]['command']
    assert source == '/cure/.' and into == mount['mountPath'] + '/', (source, into)
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + '/cure')
        os.makedirs(folder + '/into')
        with open(folder + '/cure/libx.so.2.0', 'w', encoding='utf-8') as f:
            f.write('library')
        os.symlink('libx.so.2.0', folder + '/cure/libx.so.2')
        for _ in range(2): # a pod's sandbox may be made anew: the folder is full then
            subprocess.run([*command, folder + source, folder + '/into/'], check=True, timeout=20)
        path = folder + '/into/libx.so.2'
        assert not os.path.islink(path) and read(path) == 'library'


# ---- one truth: the components, the Dockerfiles, the words of "plateau explain"

def stages(family):
    """{allocator: (package, {variable: value})} of a Dockerfile."""
    out = {}
    for name, body in re.findall(r'^FROM \S+ AS (\w+)$(.*?)(?=^FROM )', read(CURE, 'Dockerfile.' + family), re.M | re.S):
        package = re.search(r'^RUN .*(?:install -y|add)(?: --[\w-]+)* ([\w.-]+)', body, re.M)
        if name in PRELOADED:
            out[name] = (package.group(1), dict(re.findall(r'^ENV (\w+)=(\S+)$', body, re.M)))
    return out


def advised():
    """{family: (package, path)} of jemalloc, of advice.c's table."""
    rows = re.findall(r'^\s*\{"(\w+)", "([^"]+)", "([^"]+)", (?:NULL|"\w+"), \w+\},', read(ADVICE), re.M)
    return {family: (package, path) for family, package, path in rows}


def test_one_truth_of_settings():
    """The Dockerfiles set what the components set"""
    for family in FAMILIES:
        found = stages(family)
        assert 'jemalloc' in found and len(found) == {'debian': 3, 'alpine': 2, 'rhel': 2}[family], found
        for allocator, (_, env) in found.items():
            assert env == values(allocator), (family, allocator, env)


def test_one_truth_of_advice():
    """Packages and paths are those that plateau explain advises, and so are the settings"""
    table = advised()
    for family in FAMILIES:
        package, path = table[family]
        got_package, env = stages(family)['jemalloc']
        copied = re.search(r'cp -L (\S*libjemalloc\S*)', read(CURE, 'Dockerfile.' + family)).group(1)
        assert got_package == package, (family, got_package, package)
        assert copied == path.replace('%s', '*'), (family, copied, path)
        assert env['LD_PRELOAD'] == os.path.basename(path), (family, env)
    advice = read(ADVICE)
    for component in SETTINGS:
        [(key, value)] = values(component).items()
        assert f'"{key}={value}"' in advice, (component, key, value)


def test_every_library_is_copied():
    """Each stage's library is in the image that copied/ copies from, under the name that is preloaded"""
    for family in FAMILIES:
        text = read(CURE, 'Dockerfile.' + family)
        for allocator, (_, env) in stages(family).items():
            assert re.search(rf'^FROM {allocator} AS {allocator}-library\nRUN .*/{re.escape(env["LD_PRELOAD"])} /cure/$',
                             text, re.M), (family, allocator)
            assert f'COPY --from={allocator}-library /cure/ /cure/\n' in text, (family, allocator)


# ---- does it take effect

def mapped(env, program=('/usr/bin/python3', '-c', 'print(open("/proc/self/maps").read())')):
    r = subprocess.run(program, env={'PATH': '/usr/bin:/bin', **env}, capture_output=True, text=True, check=False,
                       timeout=30)
    assert r.returncode == 0, r.stderr
    return r.stdout, r.stderr


def installed(soname):
    return glob.glob(f'/usr/lib/*/{soname}') + glob.glob(f'/usr/lib64/{soname}') + glob.glob(f'/usr/lib/{soname}')


def check_taken(allocator):
    env = values(allocator)
    found = installed(env['LD_PRELOAD'])
    if not found:
        raise Skip(f'{env["LD_PRELOAD"]} is not installed')
    real = {os.path.realpath(p) for p in found}
    with tempfile.TemporaryDirectory() as folder:
        copied = shutil.copy(found[0], os.path.join(folder, env['LD_PRELOAD']))
        # as rendered: by name, where nothing was preloaded before; and in a folder, as copied/ does it
        for preload, files in ((env['LD_PRELOAD'] + ':', real), (copied + ':', {copied})):
            out, err = mapped({**env, 'LD_PRELOAD': preload})
            assert files & set(out.split()), (preload, files)
            assert err == '', err # neither ld.so nor the allocator has something against its setting


def test_jemalloc_is_taken():
    """jemalloc's line maps the library into a python3, by name and from a folder, without a word of complaint"""
    check_taken('jemalloc')


def test_tcmalloc_is_taken():
    """tcmalloc's too"""
    check_taken('tcmalloc')


def test_mimalloc_is_taken():
    """mimalloc's too"""
    check_taken('mimalloc')


def test_check_line_can_fail():
    """The last line of a stage fails where the library is missing, and passes where it is there"""
    for family in FAMILIES:
        for allocator, (_, env) in stages(family).items():
            body = read(CURE, 'Dockerfile.' + family).split(f' AS {allocator}\n')[1]
            line = re.search(r'^RUN (grep .*)$', body, re.M).group(1)
            run = lambda preload, cmd=line: subprocess.run( # noqa: E731
                ['/bin/sh', '-c', cmd], env={'PATH': '/usr/bin:/bin', 'LD_PRELOAD': preload}, capture_output=True,
                check=False, timeout=20).returncode
            assert run('libmissing-of-plateau.so.2') != 0, (family, allocator)
            if installed(env['LD_PRELOAD']):
                assert run(env['LD_PRELOAD']) == 0, (family, allocator)


def test_would_be_found_out():
    """a component with another value is noticed, so the tests above can fail"""
    objects = sample('jemalloc', False)
    with tempfile.TemporaryDirectory() as folder:
        changed = shutil.copytree(os.path.join(CURE, 'jemalloc'), os.path.join(folder, 'jemalloc'))
        text = read(changed, 'values.yaml').replace('libjemalloc.so.2', 'libjemalloc.so.1')
        with open(os.path.join(changed, 'values.yaml'), 'w', encoding='utf-8') as f:
            f.write(text)
        got = render(copy.deepcopy(objects), os.path.relpath(changed, DEPLOY))
    assert environment(pod(got['deployment'])['containers'][0])['LD_PRELOAD'] == 'libjemalloc.so.1:'


tap.main(globals())
