# SPDX-License-Identifier: Apache-2.0
"""Plays a host: `unshare --net --mount python3 stage.py PART`. This namespace is the machine, with a resolver on 127.0.0.53, another
namespace is the outside, with a server. Nothing of the real machine's network is seen or changed."""
import http.server
import json
import os
import pathlib
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(os.environ["KIT"]).parent))
import bases  # noqa: E402

CBUILD, BASES, WORK = os.environ["CBUILD"], os.environ["BASES"], pathlib.Path(os.environ["WORK"])
runs = iter(range(1000))


def sh(script):
    subprocess.run(["sh", "-ec", script], check=True, stdout=subprocess.DEVNULL)


def check(condition, text):
    if not condition:
        sys.exit(f"wrong: {text}")


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"hello from {self.server.where}\n".encode())

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


def serve(where, address, port, family=socket.AF_INET):
    server = type("S", (Server,), {"address_family": family})((address, port), Hello)
    server.where = where
    threading.Thread(target=server.serve_forever, daemon=True).start()


def resolver():
    """Answers every question for an A record with 198.51.100.2, others with nothing."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.53", 53))

    def run():
        while True:
            question, asker = udp.recvfrom(512)
            end = question.index(b"\0", 12) + 5
            is_a = question[end - 4:end - 2] == b"\0\1"
            answer = question[:2] + b"\x81\x80\0\1" + struct.pack(">H", int(is_a)) + b"\0\0\0\0" + question[12:end]
            udp.sendto(answer + (b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton("198.51.100.2") if is_a else b""), asker)

    threading.Thread(target=run, daemon=True).start()


def outside():
    """The other namespace; the servers in it live in a child of this process."""
    ready, done = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(ready)
        import ctypes
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        check(ctypes.CDLL(None).unshare(0x40000000) == 0, "unshare")
        os.write(done, b"1")
        for _ in range(600):
            if subprocess.run(["ip", "link", "show", "down0"], capture_output=True).returncode == 0:
                break
            time.sleep(0.05)
        sh("ip addr add 198.51.100.2/24 dev down0; ip addr add 2001:db8:5::2/64 dev down0 nodad; ip link set down0 up; ip link set lo up")
        serve("outside", "198.51.100.2", 8080)
        serve("outside", "2001:db8:5::2", 8080, socket.AF_INET6)
        os.write(done, b"2")
        signal.pause()
    check(os.read(ready, 1) == b"1", "the outside")
    sh(f"""ip link set lo up; ip link add up0 type veth peer name down0; ip link set down0 netns {pid}
ip addr add 198.51.100.1/24 dev up0; ip addr add 2001:db8:5::1/64 dev up0 nodad; ip link set up0 up""")
    check(os.read(ready, 1) == b"2", "the servers")
    sh("ip route add default via 198.51.100.2; ip route add default via 2001:db8:5::2")
    return pid


def host():
    (WORK / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    sh(f"""mount --bind {WORK}/resolv.conf /etc/resolv.conf; mkdir -p {WORK}/net; mount -t tmpfs none {WORK}/net; mkdir -m 755 {WORK}/net/dev
mknod {WORK}/net/dev/tun c 10 200; chmod 666 {WORK}/net/dev/tun; mount --bind {WORK}/net/dev /dev/net""")
    resolver()
    serve("host", "0.0.0.0", 8081)
    serve("loopback", "127.0.0.1", 8082)
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0cbuild-outside")
    abstract.listen(1)
    return abstract


def forward(value):
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        pathlib.Path("/proc/sys/net", name).write_text(value)


def argv(target, more, network="sandbox"):
    return [CBUILD, "--progress", "plain", "--build-context", f"base=oci-layout://{BASES}/debian", f"--network={network}",
            "--build-arg", f"RUN_ID={sys.argv[1]}-{next(runs)}", "--target", target, *more, "."]


def build(target, *more, code=0, network="sandbox", user=None, env=None):
    command = argv(target, more, network)
    environment = {**os.environ, **(env or {})}
    if user:
        who = bases.test_user()
        environment |= {"CBUILD_ROOT": str(user), "HOME": who.pw_dir}
        command = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--init-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    check(done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stderr


def doctor():
    """What `cbuild doctor` finds about networks: "yes by nftables", "no REASON; REMEDY"."""
    done = subprocess.run([CBUILD, "doctor", "--json"], capture_output=True, text=True, check=True)
    finding = next(found for found in json.loads(done.stdout)["findings"] if found["topic"] == "own network")
    return f"yes {finding['detail']}" if finding["works"] else f"no {finding['detail']}; {finding['remedy']}"


def has(text, *parts):
    for part in parts:
        check(part in text, f"no {part!r} in\n{text}")


def lacks(text, *parts):
    for part in parts:
        check(part not in text, f"{part!r} in\n{text}")


def nothing_left(patience=30):
    """Devices go with their namespace, which the kernel takes apart a moment after its last process."""
    until = time.monotonic() + patience
    while True:
        left = subprocess.run("nft list tables | grep cbuild; ip -o link | grep cb-; pgrep -a 'pasta|slirp' --ns $$ --nslist net",
                              shell=True, capture_output=True, text=True).stdout
        if not left:
            return
        check(time.monotonic() < until, f"left: {left}")
        time.sleep(0.1)


def ledgers(store=None):
    return list(pathlib.Path(store or os.environ["CBUILD_ROOT"], "networks").glob("*"))


def common(way, ipv6, user=None):
    has(build("reach", "-D", user=user), f"NOTE: network: {way}", "hello from outside")
    if ipv6:
        has(build("reach6", user=user), "hello from outside")
    apart = build("apart", user=user)
    has(apart, "abstract sockets: 0", "no 127.0.0.1:8082", "no 198.51.100.1:8081", "nameserver 127.0.0.53")
    has(build("apart-none", user=user), "abstract sockets: 0")
    has(build("name", user=user), "hello from outside")
    has(build("gateway", "--add-host", "gw:host-gateway", user=user), "hello from host")
    check(build("many", user=user).count("hello from outside") == 2, "two steps on one namespace")
    has(build("asks-for-host", code=1, user=user), "network.host is not allowed")
    as_host = build("asks-for-host", "--allow", "network.host", user=user)
    has(as_host, "up0")
    lacks(as_host, "abstract sockets: 0")
    nothing_left()
    check(not ledgers(user), ledgers(user))


def killed(user=None, next_cleans=False):
    """kill -9 in the middle of a step; what goes by itself goes, the rest with the next build."""
    environment = {**os.environ, **({"CBUILD_ROOT": str(user)} if user else {})}
    running = subprocess.Popen(argv("long", []), stderr=subprocess.PIPE, text=True, env=environment)
    for line in running.stderr:
        if "under way" in line and "RUN" not in line:
            break
    running.kill()
    running.wait()
    if not next_cleans:
        nothing_left()
    has(build("reach", user=user), "hello from outside")
    nothing_left()
    check(not ledgers(user), ledgers(user))


def part_routed():
    forward("1")
    common("nftables", True)
    check(doctor() == "yes by nftables", doctor())
    killed()
    has(build("reach", network="default", env={"CBUILD_NETWORK": "sandbox"}), "address 10.")
    sh("nft add table ip filter; nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'")
    has(build("reach", "-D"), "NOTE: network: pasta", "hello from outside")


def part_programs():
    forward("0")
    common("pasta", True)
    check(doctor() == "yes by pasta", doctor())
    killed(next_cleans=True)
    sh("ip -6 route del default; ip route del default")  # pasta needs a route to the outside
    has(build("reach"), "hello from outside", "address 10.0.2.100")
    killed()


def part_user():
    forward("0")
    os.chmod(WORK, 0o755)
    store = WORK / "user-store"
    store.mkdir()
    os.chown(store, bases.test_user().pw_uid, bases.test_user().pw_gid)
    common("pasta", True, user=store)


def part_cni():
    forward("1")
    (WORK / "cni").mkdir()
    sh(f"mkdir -p /etc/cni /var/lib; mount -t tmpfs none {WORK}/cni; mkdir {WORK}/cni/net.d {WORK}/cni/state; "
       f"test -d /etc/cni/net.d || mount -t tmpfs none /etc/cni; mkdir -p /etc/cni/net.d; mount --bind {WORK}/cni/net.d /etc/cni/net.d")
    (WORK / "cni/net.d/10-site.conflist").write_text("""{"cniVersion": "1.0.0", "name": "site", "plugins": [
{"type": "bridge", "bridge": "site0", "isGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "dataDir": "%s/cni/state",
 "ranges": [[{"subnet": "10.99.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}""" % WORK)
    state = WORK / "cni/state/site"
    has(build("reach", "-D", network="site"), "NOTE: network: cni site", "hello from outside", "address 10.99.0.")
    check(not list(state.glob("10.*")), list(state.iterdir()))
    has(build("reach", network="elsewhere", code=2), "no network 'elsewhere' in /etc/cni/net.d", "or site")
    running = subprocess.Popen(argv("long", [], "site"), stderr=subprocess.PIPE, text=True)
    for line in running.stderr:
        if "under way" in line and "RUN" not in line:
            break
    running.kill()
    running.wait()
    check(list(state.glob("10.*")), "the killed build has an address")
    build("reach", network="site")
    check(not list(state.glob("10.*")), list(state.iterdir()))
    check(not ledgers(), ledgers())


def one(rules, to, *more, code=0, host="", user=None):
    return build("one", "--allow-net", rules, "--build-arg", f"TO={to}", "--build-arg", f"HOST={host}", *more, code=code, user=user)


def allowed(user=None):
    def refused(rules, to, what, **more):
        text = one(rules, to, code=1, user=user, **more)
        has(text, f"[cbuild] network: refused {what}", f"hint: the network refused {what}; --allow-net {what} allows it")
        lacks(text, "hello from")

    has(build("one", "-D", "--allow-net", "outside.test:8080", "--build-arg", "TO=outside.test 8080", user=user),
        "NOTE: network: restricted to the hosts of --allow-net", "hello from outside")
    has(one("a.test,*.test:8080", "OUTSIDE.test 8080", host="outside.test:8080", user=user), "hello from outside")
    has(one("198.51.100.0/24:8080", "198.51.100.2 8080", user=user), "hello from outside")
    has(one("[2001:db8:5::/48]:8080", "2001:db8:5::2 8080", user=user), "hello from outside")
    has(one("gw:8081", "gw 8081", "--add-host", "gw:host-gateway", user=user), "hello from host")
    has(one("named:8080", "named 8080", "--add-host", "named:198.51.100.2", user=user), "hello from outside")
    refused("outside.test:8080", "other.test 8080", "other.test")
    refused("outside.test:8080", "198.51.100.2 8080", "198.51.100.2:8080")
    refused("outside.test:8080", "198.51.100.2 8081", "198.51.100.2:8081")
    refused("outside.test:8080", "2001:db8:5::2 8081", "[2001:db8:5::2]:8081")
    refused("outside.test:8080", "outside.test 8080", "other.test:8080", host="other.test")
    lacks(one("127.0.0.0/8:8082,gw:8082", "127.0.0.1 8082", code=1, user=user), "hello from")
    nothing_left()
    check(not ledgers(user), ledgers(user))


def part_allowed():
    forward("0")
    sh("mount -t tmpfs none /dev/net")  # none of the other ways
    allowed()
    os.chmod(WORK, 0o755)
    store = WORK / "allowed-store"
    store.mkdir()
    os.chown(store, bases.test_user().pw_uid, bases.test_user().pw_gid)
    allowed(user=store)


def part_refused():
    forward("0")
    sh("mount -t tmpfs none /dev/net")
    text = build("reach", code=4)
    has(text, "--network=sandbox: steps cannot be given a network of their own", "sysctl net.ipv4.ip_forward", "/dev/net/tun cannot be opened",
        "hint: give this user /dev/net/tun")
    lacks(text, "hello from outside")
    has(doctor(), "no --network=sandbox: steps cannot be given", "; give this user /dev/net/tun")


other = outside()
kept = host()
try:
    globals()["part_" + sys.argv[1]]()
finally:
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)
print(sys.argv[1], "ok")
