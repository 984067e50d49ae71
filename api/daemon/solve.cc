// SPDX-License-Identifier: Apache-2.0
// From a call of the API to a request of the engine, and from its result to the answer: inputs (client_inputs), the
// client's secrets, agents and accounts (client_services), its outputs (client_outputs). Builds need a session of the
// engine each, of which there is a limited number.
#include "api/daemon/solve.h"

#include <algorithm>
#include <utility>

#include "api/daemon/client_caches.h"
#include "api/daemon/client_outputs.h"
#include "api/daemon/client_services.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/ask_dockerfile.h"
#include "engine/builder.h"
#include "engine/services.h"
#include "oci/image_config.h"
#include "oci/manifest.h"

namespace cbuild::api {
namespace {

template <typename Map>
Attributes to_attributes(const Map& map) {
  return {map.begin(), map.end()};
}

void set_outputs(const Build& build, ClientOutputs& outputs, engine::BuildRequest& request) {
  const moby::buildkit::v1::SolveRequest& wanted = build.request();
  int index = 0;
  for (const auto& exporter : wanted.exporters())
    request.outputs.list.push_back(outputs.add(index++, exporter.type(), to_attributes(exporter.attrs())));
  if (wanted.exporters().empty() && !wanted.exporter().empty())
    request.outputs.list.push_back(outputs.add(0, wanted.exporter(), to_attributes(wanted.exporter_attrs())));
}

std::map<std::string, std::string> response_of(const engine::BuildRequest& request, const engine::BuildResult& result) {
  std::map<std::string, std::string> response;
  if (result.cache_manifest) response["cache.manifest"] = oci::to_json(*result.cache_manifest);
  if (result.images.empty()) return response;
  const engine::TargetImage& image = result.images.front();
  response["containerimage.digest"] = image.manifest.digest.str();
  if (!image.config.digest.empty()) response["containerimage.config.digest"] = image.config.digest.str();
  response["containerimage.descriptor"] = base64_encode(oci::to_json(image.manifest));
  std::vector<std::string> names;
  for (const exporter::Output& output : request.outputs.list)
    names.insert(names.end(), output.names.begin(), output.names.end());
  if (!names.empty()) response["image.name"] = join(names, ",");
  return response;
}

/// Clients ask for entitlements; whoever runs the daemon says which they may have.
void check_entitlement(const std::vector<std::string>& allowed, const std::string& name) {
  const std::string kind = name.substr(0, name.find('='));
  if (std::find(allowed.begin(), allowed.end(), kind) != allowed.end()) return;
  throw Error(ErrorCode::denied, cat("granting entitlement ", name, " is not allowed by this daemon"))
      .with_hint(cat("cbuildd --allow ", kind));
}

/// A request without outputs, and what has to stay as long as it is used.
struct Asked {
  Asked(DaemonState& state, const ClientQuestion& question)
      : inputs(state, question,
               [&state, &question](const std::string& id) { return linked_layout(state, question.build, id); }),
        services(question.session, question.build.cancel()) {
    services.serve(request);
    for (const std::string& name : question.build.request().entitlements()) {
      check_entitlement(state.entitlements, name);
      request.steps.allow.push_back(name);
    }
    request.in_history = !question.build.request().internal();
  }

  ClientInputs inputs;
  ClientServices services;
  engine::BuildRequest request;
};

engine::BuildResult run(DaemonState& state, const ClientQuestion& question, const engine::BuildRequest& request) {
  const EngineSlot slot(state.slots, question.build.cancel());
  engine::BuildResult result =
      engine::Builder(slot.session()).build(request, question.build.status(), question.build.cancel());
  if (result.failure) throw FailedResult{std::move(*result.failure)};
  return result;
}

engine::DockerfileQuestion question_of(const std::string& id) {
  if (id == "frontend.lint") return engine::DockerfileQuestion::check;
  if (id == "frontend.outline") return engine::DockerfileQuestion::outline;
  if (id == "frontend.targets") return engine::DockerfileQuestion::targets;
  if (id == "frontend.subrequests.describe") return engine::DockerfileQuestion::describe;
  throw Error(ErrorCode::unsupported, cat("unsupported request ", id));
}

}  // namespace

std::map<std::string, std::string> solve(DaemonState& state, const ClientQuestion& question) {
  Asked asked(state, question);
  ClientOutputs outputs(question.session, state.workspace.path(), question.build.cancel());
  ClientCaches caches(question.session, state.workspace.path(), question.build.cancel());
  asked.inputs.describe(asked.request);
  set_outputs(question.build, outputs, asked.request);
  caches.describe(question.build.request().cache(),
                  attribute(to_attributes(question.asked.frontend_opt()), "cache-imports"), asked.request.caches);
  const engine::BuildResult result = run(state, question, asked.request);
  std::map<std::string, std::string> response = response_of(asked.request, result);
  caches.finish();
  outputs.finish(response, engine::is_multi_platform(asked.request.inputs));
  return response;
}

void evaluate(DaemonState& state, const ClientQuestion& question, const std::string& tree) {
  Asked asked(state, question);
  asked.inputs.describe(asked.request);
  asked.request.in_history = false;
  asked.request.outputs.attestations = {};
  if (!tree.empty()) {
    exporter::Output& output = asked.request.outputs.list.emplace_back();
    output.type = exporter::OutputType::local;
    output.dest = tree;
    output.platform_split = false;
  }
  run(state, question, asked.request);
}

ResultTree linked_layout(DaemonState& state, Build& build, const std::string& id) {
  const auto gone = [&] { return build.cancel().cancelled(); };
  const auto other = state.builds.wait(id.substr(0, id.find('/')), gone);
  const Build::Asked wanted = other->result(id);
  if (!wanted) throw Error(ErrorCode::usage, cat("no such result: ", id));
  return other->tree(cat("layout ", id), state.workspace.path(), [&](const std::string& path) {
    const std::string& session = other->request().session();
    const ClientQuestion linked{build, *wanted, session.empty() ? nullptr : state.sessions.wait(session, gone)};
    Asked asked(state, linked);
    asked.inputs.describe(asked.request);
    exporter::Output& output = asked.request.outputs.list.emplace_back();
    output.type = exporter::OutputType::oci;
    output.dest = cat(path, "/image");
    output.as_tar = false;
    asked.request.outputs.attestations = {};
    asked.request.in_history = false;
    run(state, linked, asked.request);
  });
}

std::map<std::string, std::string> answer_subrequest(DaemonState& state, const ClientQuestion& question) {
  Asked asked(state, question);
  asked.inputs.describe(asked.request);
  const auto wanted = question_of(question.asked.frontend_opt().at("requestid"));
  const EngineSlot slot(state.slots, question.build.cancel());
  engine::Services services(asked.request, slot.session(), question.build.status(), question.build.cancel());
  const engine::DockerfileAnswer answer = engine::ask_dockerfile(
      asked.request, wanted, {services.images, [&]() -> engine::RemoteContexts& { return services.contexts; }});
  const bool failed = !answer.check.errors.empty();
  if (failed && wanted != engine::DockerfileQuestion::check) throw FailedResult{engine::Diagnosed{answer.check.errors}};
  const bool warned = wanted == engine::DockerfileQuestion::check && !answer.check.warnings.empty();
  return {{"result.json", engine::answer_text(answer, wanted, true)},
          {"result.txt", engine::answer_text(answer, wanted, false)},
          {"result.statuscode", failed || warned ? "1" : "0"},
          {"version", "1.0.0"}};
}

ImageAnswer resolve_image(DaemonState& state, const ClientQuestion& question, const std::string& name,
                          const std::string& platform, bool ask_registry) {
  Asked asked(state, question);
  if (ask_registry) asked.request.sources.pull = engine::PullPolicy::always;
  const auto wanted = platform.empty() ? oci::host_platform() : oci::parse_platform(platform);
  if (!wanted) throw Error(ErrorCode::usage, cat("platform ", platform, " is not one"));
  const EngineSlot slot(state.slots, question.build.cancel());
  engine::Services services(asked.request, slot.session(), question.build.status(), question.build.cancel());
  const frontend::ResolvedImage image = services.images.resolve(name, {}, *wanted);
  return {image.manifest.str(), oci::to_json(image.config)};
}

}  // namespace cbuild::api
