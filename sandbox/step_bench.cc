// SPDX-License-Identifier: Apache-2.0
// Own cost of a step: /bin/true of busybox in a fresh sandbox, from run() to done(). Prints the fastest and
// the median of many, per way of running. Arguments: number of runs (200), number of layers (3).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/runner.h"

using namespace cbuild;
using namespace cbuild::sandbox;

namespace {

/// A root with a static busybox in its lowest layer.
class Image {
 public:
  explicit Image(int layers) : dir_(TempDir::in_tmp("step-bench")) {
    for (int i = 0; i < layers; ++i) {
      const std::string name = cat("layer", i);
      for (const char* path : {"bin", "dev", "proc", "sys", "etc", "tmp"})
        sys::mkdir_all(dir_.fd(), cat(name, "/", path), 0755);
      lowers_.push_back(sys::open_at(dir_.fd(), name, O_PATH | O_DIRECTORY));
    }
    for (const char* file : {"hosts", "resolv.conf"}) sys::write_file_at(dir_.fd(), cat("layer0/etc/", file), "");
    const UniqueFd busybox = sys::open_at(AT_FDCWD, "/bin/busybox", O_RDONLY);
    const UniqueFd copy = sys::open_at(dir_.fd(), "layer0/bin/true", O_WRONLY | O_CREAT, 0755);
    sys::copy_file_data(busybox.get(), copy.get(), static_cast<std::uint64_t>(sys::stat_fd(busybox.get()).st_size));
  }

  Spec spec(int run) {
    const std::string name = cat("run", run);
    sys::mkdir_all(dir_.fd(), cat(name, "/fs"), 0755);
    sys::mkdir_all(dir_.fd(), cat(name, "/work"), 0755);
    upper_ = sys::open_at(dir_.fd(), cat(name, "/fs"), O_PATH | O_DIRECTORY);
    work_ = sys::open_at(dir_.fd(), cat(name, "/work"), O_PATH | O_DIRECTORY);
    Spec spec;
    spec.argv = {"/bin/true"};
    spec.environment = {"PATH=/bin"};
    for (auto it = lowers_.rbegin(); it != lowers_.rend(); ++it) spec.lower_fds.push_back(it->get());
    spec.upper_fd = upper_.get();
    spec.work_fd = work_.get();
    spec.hosts_file = "127.0.0.1 localhost\n";
    spec.resolv_conf = "nameserver 127.0.0.1\n";
    return spec;
  }

 private:
  TempDir dir_;
  std::vector<UniqueFd> lowers_;
  UniqueFd upper_, work_;
};

double run_one(Runner& runner, const Spec& spec) {
  std::mutex mutex;
  std::condition_variable ended;
  std::optional<Exit> exit;
  const std::int64_t begin = sys::monotonic_ns();
  RunCallbacks callbacks;
  callbacks.done = [&](const Exit& e) {
    const std::lock_guard lock(mutex);
    exit = e;
    ended.notify_one();
  };
  const auto step = runner.run(spec, std::move(callbacks));
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return exit.has_value(); });
  if (exit->code != 0) {
    std::fprintf(stderr, "step failed: %d %s\n", exit->code, exit->setup_error.c_str());
    std::exit(1);
  }
  return static_cast<double>(sys::monotonic_ns() - begin) / 1e6;
}

void report(const char* what, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  std::printf("%-28s min %6.2f ms   p50 %6.2f ms   p90 %6.2f ms\n", what, times.front(), times[times.size() / 2],
              times[times.size() * 9 / 10]);
}

void measure(Runner& runner, Image& image, int runs, int& next, const char* what, void (*change)(Spec&)) {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    Spec spec = image.spec(next++);
    change(spec);
    times.push_back(run_one(runner, spec));
  }
  report(what, std::move(times));
}

}  // namespace

int main(int argc, char** argv) try {
  const int runs = argc > 1 ? std::atoi(argv[1]) : 200, layers = argc > 2 ? std::atoi(argv[2]) : 3;
  const bool is_root = ::geteuid() == 0 && probe(false).mode == Mode::root;
  if (!is_root) std::printf("%s\n", enter_user_namespace().c_str());
  const std::int64_t begin = sys::monotonic_ns();
  Zygote zygote = Zygote::start();
  std::printf("zygote forked in %.2f ms\n", static_cast<double>(sys::monotonic_ns() - begin) / 1e6);
  const Mode mode = is_root ? Mode::root : probe(true).mode;
  std::printf("mode %s, %d layers, %d runs\n", std::string(to_string(mode)).c_str(), layers, runs);
  auto runner = make_namespace_runner(zygote, mode);
  Image image(layers);
  int next = 0;
  std::printf("first step %.2f ms\n", run_one(*runner, image.spec(next++)));
  measure(*runner, image, runs, next, "host network", [](Spec&) {});
  measure(*runner, image, runs, next, "no network", [](Spec& s) { s.network = NetworkMode::none; });
  measure(*runner, image, runs, next, "insecure", [](Spec& s) { s.insecure = true; });
  measure(*runner, image, runs, next, "host network, again", [](Spec&) {});
  return 0;
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n%s\n", error.what(), error.hint().c_str());
  return 1;
}
