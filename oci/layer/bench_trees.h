// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/sys.h"
#include "base/text.h"

/// Inputs and clocks of this module's benches.
namespace cbuild::oci::layer::bench {

/// Bytes of which a part is noise and the rest text with repeats: compresses to a little over 40 %, as /usr does.
class Mixture {
 public:
  explicit Mixture(std::uint64_t seed) : state_(seed * 2 + 1) {}

  void fill(std::string& out, std::size_t size) {
    out.clear();
    out.reserve(size + 64);
    while (out.size() < size) {
      const std::uint64_t noise = next();
      for (unsigned i = 0; i < 56; i += 8) out += static_cast<char>(noise >> i);
      out += "\tmovq\t";
      out += std::to_string(noise % 1000);
      out += "(%rsp), %r";
      if (noise % 7 == 0 && out.size() > 4096) out.append(out.substr(out.size() - 3000 - noise % 1000, 40));
    }
    out.resize(size);
  }

 private:
  std::uint64_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ ^ (state_ >> 29);
  }
  std::uint64_t state_;
};

/// `count` files of `size` bytes, a hundred in each directory.
inline void make_files(int rootfd, std::size_t count, std::size_t size) {
  Mixture mixture(count);
  std::string content;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string dir = cat("usr/lib/dir", i / 100);
    if (i % 100 == 0) sys::mkdir_all(rootfd, dir, 0755);
    mixture.fill(content, size);
    const UniqueFd fd = sys::open_at(rootfd, cat(dir, "/file-", i, ".bin"), O_WRONLY | O_CREAT | O_EXCL, 0644);
    sys::write_all(fd.get(), content);
  }
}

/// The cost of one run.
struct Cost {
  double wall_s = 1e9, cpu_s = 1e9;  ///< cpu: of all threads, user and system
};

inline double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// The best of `rounds` runs of `work`; `reset` runs before each, unmeasured.
template <typename Work, typename Reset>
Cost best_cost(int rounds, Work work, Reset reset) {
  Cost best;
  for (int i = 0; i < rounds; ++i) {
    reset();
    const double cpu = cpu_seconds();
    const auto begin = std::chrono::steady_clock::now();
    work();
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best.wall_s = std::min(best.wall_s, wall);
    best.cpu_s = std::min(best.cpu_s, cpu_seconds() - cpu);
  }
  return best;
}

inline void report(const char* what, const Cost& cost, double bytes, double files) {
  std::printf("%-40s %8.2f ms (cpu %8.2f) %8.1f MB/s %8.0f files/s\n", what, cost.wall_s * 1e3, cost.cpu_s * 1e3,
              bytes / cost.wall_s / 1e6, files / cost.wall_s);
  std::fflush(stdout);
}

}  // namespace cbuild::oci::layer::bench
