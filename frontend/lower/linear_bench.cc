// SPDX-License-Identifier: Apache-2.0
// Parses and lowers files of n, 2n and 4n of everything that a file may have many of, and prints the work for each size
// and the growth from n to 4n: 4 is linear, 16 is quadratic. Work is counted in instructions where the machine lets a
// process count its own, else in CPU time.
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "base/fd.h"
#include "base/text.h"
#include "frontend/lower/lower_fixture.h"
#include "frontend/text/expand.h"

namespace {

using namespace cbuild;
using namespace cbuild::frontend;

class WorkCounter {
 public:
  WorkCounter() {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.exclude_kernel = attributes.exclude_hv = 1;
    instructions_ = UniqueFd(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0)));
  }
  const char* unit() const { return instructions_ ? "instructions" : "ns of CPU time"; }
  std::uint64_t now() const {
    std::uint64_t count = 0;
    if (instructions_ && ::read(instructions_.get(), &count, sizeof count) == sizeof count) return count;
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
  }

 private:
  UniqueFd instructions_;
};

using MakeText = std::function<std::string(std::size_t n)>;
using Numbered = std::function<std::string(std::size_t i)>;

std::string repeat(std::size_t n, const Numbered& part) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += part(i);
  return out;
}

std::string repeat(std::size_t n, const std::string& part) {
  return repeat(n, [&](std::size_t) { return part; });
}

template <typename Work>
std::uint64_t measure(const WorkCounter& counter, const Work& work) {
  work();  // values that are made once and kept do not count
  const std::uint64_t before = counter.now();
  work();
  return counter.now() - before;
}

void row(const WorkCounter& counter, const char* name, std::size_t n,
         const std::function<void(const std::string&)>& work, const MakeText& make) {
  std::array<std::uint64_t, 3> counts{};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::string text = make(n << i);
    counts[i] = measure(counter, [&] { work(text); });
  }
  std::printf("%-42s %8zu %14llu %14llu %14llu %6.2f\n", name, n, static_cast<unsigned long long>(counts[0]),
              static_cast<unsigned long long>(counts[1]), static_cast<unsigned long long>(counts[2]),
              static_cast<double>(counts[2]) / static_cast<double>(std::max<std::uint64_t>(counts[0], 1)));
}

/// Mistakes in a text are found in linear time, too.
void parse(const std::string& text) {
  try {
    parse_dockerfile(std::make_shared<const SourceText>("Dockerfile", text));
  } catch (const DiagnosticError& error) {
    if (error.diagnostics().empty()) std::abort();
  }
}
void build(const std::string& text) { testing::Build{}.run(text); }

std::string nested(std::size_t depth) { return repeat(depth, "${NO:-") + "x" + std::string(depth, '}'); }

void parsing_rows(const WorkCounter& counter) {
  const std::string from = "FROM x\n";
  const auto line = [&](const char* name, const std::string& before, const std::string& word,
                        const std::string& after) {
    row(counter, name, 16'000 / word.size(), parse,
        [=](std::size_t n) { return from + before + repeat(n, word) + after + "\n"; });
  };
  line("a line of words, 64 KiB", "COPY ", "a ", "z");
  line("a line of ENV pairs", "ENV ", "a=b ", "");
  line("a line of JSON strings", "CMD [", "\"a\", ", "\"b\"]");
  line("a line of open brackets", "CMD ", "[", "");
  line("a line of flags", "COPY ", "--exclude=a ", "a b");
  line("a line of ONBUILDs", "", "ONBUILD ", "RUN cat <<A\nA");
  row(counter, "heredocs of a line", 4'000, parse,
      [&](std::size_t n) { return from + "RUN cat " + repeat(n, "<<A ") + "\n" + repeat(n, "A\n"); });
  row(counter, "lines of a heredoc, 1 MB", 10'000, parse,
      [&](std::size_t n) { return from + "RUN <<EOF\n" + repeat(n, "echo some words of a script\n") + "EOF\n"; });
  row(counter, "continued lines", 10'000, parse,
      [&](std::size_t n) { return from + "RUN " + repeat(n, "word \\\n") + "end\n"; });
  row(counter, "comments inside a continued line", 10'000, parse,
      [&](std::size_t n) { return from + "RUN a \\\n" + repeat(n, "# comment\n") + "end\n"; });
  row(counter, "unknown instructions", 5'000, parse, [&](std::size_t n) { return from + repeat(n, "RUNN x\n"); });
  row(counter, "stages, parsed", 2'500, parse, [](std::size_t n) {
    return repeat(n, Numbered([](std::size_t i) {
                    return cat("FROM x AS s", i, "\nCOPY --from=s", i == 0 ? 0 : i - 1, " a b\n");
                  }));
  });
}

void lowering_rows(const WorkCounter& counter) {
  row(counter, "stages that copy from the one before", 2'500, build, [](std::size_t n) {
    return "FROM x AS s0\n" +
           repeat(n, Numbered([](std::size_t i) { return cat("FROM x AS s", i + 1, "\nCOPY --from=s", i, " a b\n"); }));
  });
  row(counter, "stages FROM the one before", 2'500, build, [](std::size_t n) {
    return "FROM x AS s0\n" +
           repeat(n, Numbered([](std::size_t i) { return cat("FROM s", i, " AS s", i + 1, "\nENV A=1\n"); }));
  });
  row(counter, "ARGs above FROM", 1'250, build, [](std::size_t n) {
    return "ARG A0=x\n" + repeat(n, Numbered([](std::size_t i) { return cat("ARG A", i + 1, "=$A", i, "\n"); })) +
           "FROM $A1\n";
  });
  row(counter, "ARGs of a stage, then a RUN", 1'250, build, [](std::size_t n) {
    return "FROM x\nARG A0=x\n" +
           repeat(n, Numbered([](std::size_t i) { return cat("ARG A", i + 1, "=$A", i, "\n"); })) + "RUN x\n";
  });
  row(counter, "ENVs of a stage, then a RUN", 1'250, build, [](std::size_t n) {
    return "FROM x\nENV A0=x\n" +
           repeat(n, Numbered([](std::size_t i) { return cat("ENV A", i + 1, "=$A", i, "\n"); })) + "RUN x\n";
  });
  row(counter, "LABELs", 1'250, build, [](std::size_t n) {
    return "FROM x\n" + repeat(n, Numbered([](std::size_t i) { return cat("LABEL l", i, "=v\n"); }));
  });
  row(counter, "RUNs", 1'250, build, [](std::size_t n) { return "FROM x\n" + repeat(n, "RUN x\n"); });
  row(counter, "mounts of a RUN", 250, build, [](std::size_t n) {
    return "FROM x\nRUN " +
           repeat(n, Numbered([](std::size_t i) { return cat("--mount=type=cache,target=/c", i, " "); })) + "x\n";
  });
  row(counter, "sources of a COPY", 1'250, build, [](std::size_t n) {
    return "FROM x\nCOPY " + repeat(n, Numbered([](std::size_t i) { return cat("f", i, " "); })) + "/d/\n";
  });
}

void expansion_rows(const WorkCounter& counter) {
  const Environment nothing = [](std::string_view) { return std::nullopt; };
  const auto expand = [&](const std::string& text) { expand_word(text, nothing, {}); };
  row(counter, "nested words, depth", 250, expand, nested);
  row(counter, "variables that are not set, each its own", 4'000, expand,
      [](std::size_t n) { return repeat(n, Numbered([](std::size_t i) { return cat("$V", i, " "); })); });
  row(
      counter, "text of a heredoc, 1 MB", 10'000,
      [&](const std::string& text) { expand_word(text, nothing, {.heredoc = true}); },
      [](std::size_t n) { return repeat(n, "a $A b ${B:-c} \\$ \"q\"\n"); });
}

}  // namespace

int main() {
  const WorkCounter counter;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::printf("%s; growth: 4 is linear\n%-42s %8s %14s %14s %14s %6s\n", counter.unit(), "", "n", "n", "2n", "4n",
              "growth");
  parsing_rows(counter);
  lowering_rows(counter);
  expansion_rows(counter);
  return 0;
}
