// SPDX-License-Identifier: Apache-2.0
#include "cli/report/trace.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace cbuild::cli {
namespace {

engine::StepEntry traced_step(std::uint32_t id, const std::string& name, std::int64_t start_ns,
                              std::int64_t duration_ns) {
  engine::StepEntry out;
  out.id = id;
  out.name = name;
  out.state = duration_ns > 0 ? "ran" : "cached";
  out.start_ns = start_ns;
  out.duration_ns = duration_ns;
  return out;
}

engine::BuildEntry traced_build() {
  engine::BuildEntry out;
  out.id = "abc";
  out.name = "app:1";
  out.status = "failed";
  out.error = "RUN failed";
  out.started_ns = 1'000'000'000'000;
  out.finished_ns = out.started_ns + 10'000;
  out.steps = {traced_step(0, "FROM x", 0, 0), traced_step(1, "RUN a", 1000, 4000), traced_step(2, "RUN b", 2000, 1000),
               traced_step(3, "RUN c", 3000, 5000)};
  out.steps[3].state = "failed";
  out.steps[3].error = "exit code: 1";
  out.steps[3].critical = true;
  out.steps[1].key = "11";
  return out;
}

}  // namespace

TEST_CASE("a Chrome trace has rows for steps that run at once, and none for cached ones") {
  const auto trace = chrome_trace(traced_build());
  const auto& events = trace["traceEvents"];
  REQUIRE(events.size() == 4);
  CHECK(events[0]["name"] == "build app:1");
  CHECK(events[0]["dur"] == 10.0);
  CHECK(events[1]["name"] == "RUN a");
  CHECK(events[1]["ts"] == 1.0);
  CHECK(events[1]["tid"] == 1);
  CHECK(events[2]["tid"] == 2);
  CHECK(events[3]["tid"] == 2);  // the row of RUN b, which has ended
  CHECK(events[3]["args"]["critical"] == "true");
}

TEST_CASE("an OTLP trace has a span of the build and one of each step that ran") {
  TraceContext context;
  set_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", context);
  const auto trace = otlp_trace(traced_build(), context);
  const auto& resource = trace["resourceSpans"][0];
  CHECK(resource["resource"]["attributes"][0]["value"]["stringValue"] == "cbuild");
  const auto& spans = resource["scopeSpans"][0]["spans"];
  REQUIRE(spans.size() == 4);
  CHECK(spans[0]["name"] == "build");
  CHECK(spans[0]["parentSpanId"] == "b7ad6b7169203331");
  CHECK(spans[0]["startTimeUnixNano"] == "1000000000000");
  CHECK(spans[0]["status"]["message"] == "RUN failed");
  CHECK(spans[1]["startTimeUnixNano"] == "1000000001000");
  CHECK(spans[1]["endTimeUnixNano"] == "1000000005000");
  CHECK(spans[1]["attributes"].back()["value"]["stringValue"] == "sha256:11");
  CHECK(!spans[1].contains("status"));
  CHECK(spans[3]["status"]["code"] == 2);
  std::set<std::string> ids;
  for (const auto& span : spans) {
    CHECK(span["traceId"] == "0af7651916cd43dd8448eb211c80319c");
    CHECK(span["spanId"].get<std::string>().size() == 16);
    ids.insert(span["spanId"]);
    if (span["name"] != "build") CHECK(span["parentSpanId"] == spans[0]["spanId"]);
  }
  CHECK(ids.size() == 4);
  CHECK(otlp_trace(traced_build(), context) == trace);
}

TEST_CASE("a traceparent that is none is not taken over") {
  for (const char* wrong : {"", "00", "00-xyz-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad-01",
                            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"}) {
    CAPTURE(wrong);
    TraceContext context;
    set_parent(wrong, context);
    CHECK(context.trace_id.empty());
  }
  TraceContext own;
  const auto spans = otlp_trace(traced_build(), own)["resourceSpans"][0]["scopeSpans"][0]["spans"];
  CHECK(spans[0]["traceId"].get<std::string>().size() == 32);
  CHECK(!spans[0].contains("parentSpanId"));
}

}  // namespace cbuild::cli
