// SPDX-License-Identifier: Apache-2.0
// Platforms as containerd's platforms package reads, normalizes and matches them, because the entry of an index that is
// chosen for a request decides what a build is made of. A request is expanded into the list of platforms that can serve
// it, best first (an arm64 machine runs older arm64 and arm code, too); the first one that an image offers wins.
#include "oci/platform.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/url_parts.h"

namespace cbuild::oci {

namespace {

constexpr std::array<std::string_view, 17> kSystems = {
    "aix",   "android", "darwin", "dragonfly", "freebsd", "hurd",    "illumos", "ios", "js",
    "linux", "nacl",    "netbsd", "openbsd",   "plan9",   "solaris", "windows", "zos"};
constexpr std::array<std::string_view, 25> kArchitectures = {
    "386",     "amd64", "amd64p32", "arm",    "armbe",    "arm64",     "arm64be",     "ppc64", "ppc64le",
    "loong64", "mips",  "mipsle",   "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc",   "riscv",
    "riscv64", "s390",  "s390x",    "sparc",  "sparc64",  "wasm",      "i386"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool is_word(std::string_view text, std::string_view extra) {
  const auto good = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           extra.find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), good);
}

void normalize_arm64(std::string& variant) {
  if (variant == "8" || variant == "v8" || variant == "v8.0") variant.clear();
  if (variant == "9" || variant == "9.0" || variant == "v9.0") variant = "v9";
}

void normalize_arm(std::string& variant) {
  if (variant.empty() || variant == "7") variant = "v7";
  if (variant == "5" || variant == "6" || variant == "8") variant.insert(0, "v");
}

void normalize_architecture(std::string& arch, std::string& variant) {
  arch = to_lower(arch);
  variant = to_lower(variant);
  if (arch == "i386") {
    arch = "386";
    variant.clear();
  } else if (arch == "x86_64" || arch == "x86-64" || arch == "amd64") {
    arch = "amd64";
    if (variant == "v1") variant.clear();
  } else if (arch == "aarch64" || arch == "arm64") {
    arch = "arm64";
    normalize_arm64(variant);
  } else if (arch == "armhf" || arch == "armel") {
    variant = arch == "armhf" ? "v7" : "v6";
    arch = "arm";
  } else if (arch == "arm") {
    normalize_arm(variant);
  }
}

/// "windows(10.0.17763+win32k)": the part in parentheses.
bool parse_os_options(std::string_view text, Platform& platform) {
  const std::vector<std::string> parts = split(text, '+');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].empty() && !is_word(parts[i], ".%")) return false;
    if (!has_whole_escapes(parts[i]) || (i > 0 && parts[i].empty())) return false;
    if (i == 0) {
      platform.os_version = percent_decode(parts[i]);
    } else {
      platform.os_features.push_back(percent_decode(parts[i]));
    }
  }
  return true;
}

bool parse_os(std::string_view text, Platform& platform) {
  std::string_view name = text;
  if (const std::size_t open = text.find('('); open != std::string_view::npos) {
    if (text.back() != ')') return false;
    name = text.substr(0, open);
    if (!parse_os_options(text.substr(open + 1, text.size() - open - 2), platform)) return false;
  }
  if (!is_word(name, "")) return false;
  platform.os = name;
  return true;
}

std::optional<Platform> parse_single(std::string_view text, Platform platform) {
  platform = normalize(std::move(platform));
  if (contains(kSystems, platform.os)) {
    const Platform host = host_platform();
    platform.architecture = host.architecture;
    platform.variant = host.variant;
    return platform;
  }
  Platform by_architecture = host_platform();
  by_architecture.architecture = text;
  by_architecture.variant.clear();
  by_architecture = normalize(std::move(by_architecture));
  if (!contains(kArchitectures, by_architecture.architecture)) return std::nullopt;
  return by_architecture;
}

std::optional<int> variant_number(std::string_view variant) {
  if (variant.starts_with('v')) variant.remove_prefix(1);
  const auto number = parse_int(variant);
  if (!number || *number < 0 || *number > 100) return std::nullopt;
  return static_cast<int>(*number);
}

Platform with(const Platform& platform, std::string_view architecture, std::string variant) {
  Platform out = platform;
  out.architecture = architecture;
  out.variant = std::move(variant);
  return normalize(std::move(out));
}

void add_lower_variants(std::vector<Platform>& out, const Platform& platform, int lowest) {
  const int top = variant_number(platform.variant).value_or(0);
  for (int level = top - 1; level >= lowest; --level) {
    out.push_back(with(platform, platform.architecture, cat('v', level)));
  }
}

/// v9.N runs what v8.(N+5) runs (containerd's table; the last minor it knows is 9.7).
void add_arm64(std::vector<Platform>& out, const Platform& platform) {
  const std::string variant = platform.variant.empty() ? "v8" : platform.variant;
  const std::vector<std::string> parts = split(std::string_view(variant).substr(1), '.');
  const auto major = parse_int(parts[0]);
  const auto minor = parts.size() == 2 ? parse_int(parts[1]) : std::optional<std::int64_t>(0);
  const bool known = variant[0] == 'v' && parts.size() <= 2 && major && minor && *minor >= 0 &&
                     ((*major == 8 && *minor <= 9) || (*major == 9 && *minor <= 7));
  if (!known) return;
  const auto add = [&](std::int64_t generation, std::int64_t from) {
    for (std::int64_t m = from; m >= 0; --m) {
      out.push_back(with(platform, "arm64", m == 0 ? cat('v', generation) : cat('v', generation, '.', m)));
    }
  };
  add(*major, *minor);
  if (*major == 9) add(8, *minor + 5);
  const Platform arm = with(platform, "arm", "v8");
  out.push_back(arm);
  add_lower_variants(out, arm, 5);
}

/// Everything that can serve a request, best first.
std::vector<Platform> serving(const Platform& wanted) {
  std::vector<Platform> out;
  if (wanted.architecture == "arm64") {
    add_arm64(out, wanted);
    return out;
  }
  out.push_back(wanted);
  if (wanted.architecture == "amd64") {
    add_lower_variants(out, wanted, 1);
    out.push_back(with(wanted, "386", ""));
  } else if (wanted.architecture == "arm") {
    add_lower_variants(out, wanted, 5);
  }
  return out;
}

bool serves(const Platform& candidate, const Platform& image) {
  return candidate.os == image.os && candidate.architecture == image.architecture && candidate.variant == image.variant;
}

bool has_features(const Platform& wanted, const Platform& image) {
  const bool windows = wanted.os == "windows";
  return std::all_of(image.os_features.begin(), image.os_features.end(), [&](const std::string& feature) {
    return (windows && feature == "win32k") ||
           std::binary_search(wanted.os_features.begin(), wanted.os_features.end(), feature);
  });
}

/// Windows images run on hosts of their own build number ("10.0.17763") only.
bool same_windows_build(const Platform& wanted, const Platform& image) {
  if (wanted.os != "windows" || wanted.os_version.empty() || image.os_version.empty()) return true;
  const auto build = [](const std::string& version) {
    std::vector<std::string> parts = split(version, '.');
    parts.resize(std::min<std::size_t>(parts.size(), 3));
    return parts;
  };
  return build(wanted.os_version) == build(image.os_version);
}

}  // namespace

std::string Platform::str() const {
  std::string out = os.empty() ? "unknown" : os;
  if (!architecture.empty()) out += "/" + architecture;
  if (!variant.empty()) out += "/" + variant;
  return out;
}

Platform host_platform() {
  Platform host;
#if defined(__x86_64__)
  host.architecture = "amd64";
#elif defined(__i386__)
  host.architecture = "386";
#elif defined(__aarch64__)
  host.architecture = "arm64";
#elif defined(__arm__)
  host.architecture = "arm";
  host.variant = __ARM_ARCH >= 7 ? "v7" : "v6";
#elif defined(__riscv) && __riscv_xlen == 64
  host.architecture = "riscv64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
  host.architecture = "ppc64le";
#elif defined(__s390x__)
  host.architecture = "s390x";
#elif defined(__loongarch64)
  host.architecture = "loong64";
#else
#error "unknown architecture: add its GOARCH name"
#endif
  return host;
}

Platform normalize(Platform platform) {
  platform.os = platform.os.empty() ? "linux" : to_lower(platform.os);
  if (platform.os == "macos") platform.os = "darwin";
  normalize_architecture(platform.architecture, platform.variant);
  std::sort(platform.os_features.begin(), platform.os_features.end());
  platform.os_features.erase(std::unique(platform.os_features.begin(), platform.os_features.end()),
                             platform.os_features.end());
  return platform;
}

std::optional<Platform> parse_platform(std::string_view text) {
  if (text == "local") return host_platform();
  const std::vector<std::string> parts = split(text, '/');
  Platform platform;
  if (parts.empty() || parts.size() > 3 || !parse_os(parts[0], platform)) return std::nullopt;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (!is_word(parts[i], ".")) return std::nullopt;
  }
  if (parts.size() == 1) return parse_single(text, std::move(platform));
  platform.architecture = parts[1];
  if (parts.size() == 3) platform.variant = parts[2];
  return normalize(std::move(platform));
}

int match_score(const Platform& wanted, const Platform& image) {
  constexpr int kBest = 1'000'000, kPerRank = 1'000;
  const Platform request = normalize(wanted), offer = normalize(image);
  if (!has_features(request, offer) || !same_windows_build(request, offer)) return 0;
  const std::vector<Platform> candidates = serving(request);
  for (std::size_t rank = 0; rank < candidates.size(); ++rank) {
    if (!serves(candidates[rank], offer)) continue;
    const auto features = std::min<std::size_t>(offer.os_features.size(), kPerRank - 1);
    return kBest - static_cast<int>(rank) * kPerRank + static_cast<int>(features);
  }
  return 0;
}

}  // namespace cbuild::oci
