// SPDX-License-Identifier: Apache-2.0
// A scanner is an image whose command reads a root file system and writes SPDX documents, each in an in-toto statement.
// It is a step like any other: in the sandbox, with the result of the target mounted read-only, and cached. Its output
// is a directory of its own root, which only the attestations read.
#include "engine/scan_steps.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "supply/statement.h"

namespace cbuild::engine {
namespace {

using ScanJson = nlohmann::ordered_json;

constexpr char kSource[] = "/run/src/core/sbom", kExtras[] = "/run/src/extras/", kDestination[] = "/run/out/";
constexpr std::size_t kLargestStatement = 40u << 20;

/// The root of the scanner: its image, with the directory that it writes to.
solver::VertexId scanner_root(const frontend::ResolvedImage& image, const std::string& name, solver::Graph& graph) {
  solver::Vertex base;
  base.op = solver::ImageSource{image.manifest, image.config.platform.str(), oci::chain_id(image.config.diff_ids),
                                image.locator};
  base.name = cat("[sbom] FROM ", name);
  const bool empty = image.config.diff_ids.empty();
  const solver::VertexId root = empty ? solver::kNoInput : graph.add(std::move(base));
  solver::Vertex made;
  made.op = solver::FileOp{{solver::MakeDirAction{"/run/out", 0755, {}, std::nullopt}}};
  made.inputs = {root};
  made.name = "[sbom] directory for the result";
  return graph.add(std::move(made));
}

solver::ExecOp scan_op(const BuildRequest& request, const frontend::ResolvedImage& image) {
  const oci::ContainerConfig& config = image.config.config;
  solver::ExecOp op;
  for (const auto* words : {&config.entrypoint, &config.cmd})
    if (*words) op.argv.insert(op.argv.end(), (*words)->begin(), (*words)->end());
  op.environment = config.env;
  op.environment.push_back(cat("BUILDKIT_SCAN_DESTINATION=", kDestination));
  op.environment.push_back(cat("BUILDKIT_SCAN_SOURCE=", kSource));
  for (const auto& [key, value] : request.outputs.attestations.sbom->parameters)
    op.environment.push_back(cat("BUILDKIT_SCAN_", key, "=", value));
  if (!config.working_dir.empty()) op.working_dir = config.working_dir;
  op.platform = image.config.platform.str();
  op.mounts = {{kSource, solver::BindMount{1, "/", true}}, {"/tmp", solver::TmpfsMount{}}};
  if (request.steps.network == "none") op.network = NetworkMode::none;
  return op;
}

/// Mounts of the stages and the context that the Dockerfile wants scanned, too.
void add_extras(const frontend::LoweredTarget& target, solver::ExecOp& op, std::vector<solver::VertexId>& inputs) {
  if (target.scan_extras.empty()) return;
  op.environment.push_back(cat("BUILDKIT_SCAN_SOURCE_EXTRAS=", kExtras));
  for (const frontend::ScanExtra& extra : target.scan_extras) {
    op.mounts.push_back(
        {cat(kExtras, "sbom-", extra.name), solver::BindMount{static_cast<int>(inputs.size()), "/", true}});
    inputs.push_back(extra.root);
  }
}

/// The SPDX document of a statement, and what it is about.
exporter::Attestation parse_scan(const std::string& name, const std::string& text) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::step_failed, cat("SBOM scanner: ", name, " ", why));
  };
  const ScanJson statement = ScanJson::parse(text, nullptr, false);
  if (!statement.is_object() || !statement.contains("predicate")) refuse("is not an in-toto statement");
  if (statement.value("predicateType", ScanJson()) != supply::kSpdxPredicate) refuse("is not an SPDX document");
  exporter::Attestation out{std::string(supply::kSpdxPredicate), name, false, {}, {}};
  out.predicate = [predicate = statement.at("predicate").dump()] { return predicate; };
  const ScanJson subjects = statement.value("subject", ScanJson::array());
  for (const ScanJson& subject : subjects.is_array() ? subjects : ScanJson::array()) {
    if (!subject.is_object()) continue;
    supply::Subject one;
    if (const auto found = subject.find("name"); found != subject.end() && found->is_string()) one.name = *found;
    if (const auto digests = subject.find("digest"); digests != subject.end() && digests->is_object())
      for (const auto& [algorithm, hex] : digests->items())
        if (hex.is_string()) one.digest[algorithm] = hex;
    out.subjects.push_back(std::move(one));
  }
  return out;
}

}  // namespace

void add_scan_steps(Services& services, LoweredBuild& lowered) {
  const auto& sbom = services.request.outputs.attestations.sbom;
  if (!sbom || sbom->generator.empty()) return;
  frontend::ResolvedImage image;
  try {
    image = services.images.resolve(sbom->generator, {}, oci::host_platform());
  } catch (Error& error) {
    error.add_context(cat("SBOM scanner ", sbom->generator));
    throw;
  }
  const solver::ExecOp op = scan_op(services.request, image);
  if (op.argv.empty()) throw Error(ErrorCode::input, cat("SBOM scanner ", sbom->generator, " does not have a command"));
  solver::Graph& graph = lowered.targets.graph;
  const solver::VertexId root = scanner_root(image, sbom->generator, graph);
  for (const frontend::LoweredTarget& target : lowered.targets.targets) {
    lowered.scans.push_back(solver::kNoInput);
    if (target.result == solver::kNoInput) continue;
    solver::Vertex scan;
    solver::ExecOp own = op;
    scan.inputs = {root, target.result};
    add_extras(target, own, scan.inputs);
    scan.op = std::move(own);
    scan.name = cat("[", target.config.platform.str(), "] generating sbom using ", sbom->generator);
    scan.ignore_cache = services.request.caches.none;
    lowered.scans.back() = graph.add(std::move(scan));
  }
}

std::vector<exporter::Attestation> read_scan(const cache::TreeView& files) {
  std::vector<exporter::Attestation> core, others;
  for (const cache::TreeView::Entry& entry : files.list("run/out")) {
    if (!S_ISREG(entry.st.st_mode))
      throw Error(ErrorCode::step_failed, cat("SBOM scanner: ", sanitize_for_terminal(entry.name), " is not a file"));
    const std::optional<std::string> text = files.read_file(cat("run/out/", entry.name), kLargestStatement);
    // That of the result comes first.
    auto& list = entry.name.starts_with("sbom.") ? core : others;
    list.push_back(parse_scan(sanitize_for_terminal(entry.name), text.value_or(std::string())));
  }
  core.insert(core.end(), others.begin(), others.end());
  return core;
}

}  // namespace cbuild::engine
