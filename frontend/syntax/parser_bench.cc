// SPDX-License-Identifier: Apache-2.0
// Times the parser on an everyday file and on the shapes that would show anything worse than linear.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "base/text.h"
#include "frontend/syntax/parser.h"
#include "frontend/text/expand.h"

namespace {

using namespace cbuild;
using namespace cbuild::frontend;

constexpr std::size_t kMegabyte = 1 << 20;

std::string repeat(const std::string& part, std::size_t size) {
  std::string out;
  out.reserve(size + part.size());
  while (out.size() < size) out += part;
  return out;
}

/// Best of `runs`, in microseconds.
template <typename Work>
double time_us(int runs, const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e18;
  for (int i = 0; i < runs; ++i) {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  return best;
}

void bench(const char* name, const std::string& text, int runs = 5) {
  const auto source = std::make_shared<const SourceText>("Dockerfile", text);
  std::printf("%-40s %9zu bytes %12.1f us\n", name, text.size(), time_us(runs, [&] { parse_dockerfile(source); }));
}

std::string everyday_file() {
  return "# syntax=docker/dockerfile:1\nARG VERSION=1.2\nFROM golang:${VERSION} AS build\nWORKDIR /src\n"
         "COPY go.mod go.sum ./\nRUN --mount=type=cache,target=/go/pkg go mod download\nCOPY . .\n"
         "RUN go build \\\n  -o /out/app \\\n  ./cmd/app\nRUN <<EOF\nset -e\n/out/app --version\nEOF\n\n"
         "FROM debian:12\nENV PATH=/app:$PATH LANG=\"C.UTF-8\"\nCOPY --from=build /out/app /app/\nUSER 1000\n"
         "ENTRYPOINT [\"/app/app\"]\n";
}

}  // namespace

int main() {
  const std::string from = "FROM x\n";
  std::string stages;
  for (int i = 0; i < 10'000; ++i) stages += cat("FROM x AS s", i, "\nCOPY --from=s", i == 0 ? 0 : i - 1, " a b\n");
  bench("first parse of an everyday file", everyday_file(), 1);
  bench("everyday file", everyday_file(), 200);
  bench("10,000 stages", stages);
  bench("1 MB heredoc", from + "RUN <<EOF\n" + repeat("echo some words of a script\n", kMegabyte) + "EOF\n");
  bench("1 MB heredoc in COPY, tabs stripped", from + "COPY <<-EOF /f\n" + repeat("\t\tline\n", kMegabyte) + "EOF\n");
  bench("10,000 heredocs on a line", from + "COPY " + repeat("<<A ", 40'000) + "/d\n" + repeat("A\n", 20'000));
  bench("64 KiB line of words", from + "ENV " + repeat("a=b ", 65'000) + "\n");
  bench("64 KiB line of JSON", from + "CMD [" + repeat("\"a\", ", 65'000) + "\"b\"]\n");
  bench("64 KiB line of flags", from + "COPY " + repeat("--exclude=a ", 65'000) + "a b\n");
  bench("64 KiB line of open brackets", from + "CMD " + repeat("[", 65'000) + "\n");
  bench("1 MB of continuations", from + "RUN " + repeat("word \\\n", kMegabyte) + "end\n");
  bench("1 MB of ENV words over lines", from + "ENV " + repeat("a=b \\\n", kMegabyte) + "c=d\n");
  bench("1 MB of comments", repeat("# comment\n", kMegabyte) + from);

  const std::string body = repeat("a $A b ${B:-c} \\$ \"quoted\"\n", kMegabyte);
  const Environment nothing = [](std::string_view) { return std::nullopt; };
  std::printf("%-40s %9zu bytes %12.1f us\n", "expand 1 MB heredoc", body.size(),
              time_us(3, [&] { expand_word(body, nothing, {.heredoc = true}); }));
  return 0;
}
