// SPDX-License-Identifier: Apache-2.0
// type=image, a row of output_type.h: under its names in the store, and with push=true in their registries.
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "exporter/output_keys.h"
#include "exporter/output_type.h"
#include "exporter/push.h"
#include "exporter/push_signature.h"
#include "oci/reference.h"

namespace cbuild::exporter {
namespace {

constexpr OutputKey kImageKeys[] = {
    {"push", set_output_truth<&Output::push>},
    {"push-by-digest", set_output_truth<&Output::push_by_digest>},
    {"registry.insecure", set_output_truth<&Output::insecure>},
    {"store", set_output_truth<&Output::keep>},
    {"name-canonical", set_output_truth<&Output::name_canonical>},
    {"dangling-name-prefix", [](Output& o, std::string_view, const std::string& v) { o.dangling_prefix = v; }},
    {"danging-name-empty-only", set_output_truth<&Output::dangling_only>},  // as BuildKit spells it
    {"prefer-image-digest", check_output_truth},
    {"unpack", check_output_truth},  // into containerd's store: layers are unpacked when they are used
};

void keep_image(const OutputJob& job) {
  const Output& output = job.output;
  const ImageSet& images = job.source.images;
  std::vector<std::string> names = output.names;
  if (!output.dangling_prefix.empty() && (names.empty() || !output.dangling_only))
    names.push_back(cat(output.dangling_prefix, "@", images.top().digest.str()));
  const auto keep = [&](const oci::Reference& name) {
    // An index that only adds attestations is for those who get the image elsewhere.
    const Digest kept = job.source.several ? images.top().digest : images.manifests.front().manifest.digest;
    if (output.keep) job.context.store.set_image({name.str(), kept, sys::now_ns()});
  };
  for (const std::string& name : names) {
    oci::Reference reference = oci::parse_reference(name);
    keep(reference);
    if (output.push) push_images(images, name, output.push_by_digest, job.context);
    if (output.push && job.context.signer) push_signature(images.top(), name, output.referrers, job.context);
    if (output.name_canonical && !std::exchange(reference.digest, images.top().digest)) keep(reference);
  }
  if (output.push && names.empty())
    throw Error(ErrorCode::usage, "a push needs a name").with_hint("add -t REGISTRY/REPOSITORY:TAG");
}

}  // namespace

const OutputTraits kImageOutput = {
    .type = OutputType::image,
    .name = "image",
    .content = OutputContent::image,
    .can_push = true,
    .place = [](const Output&) { return OutputPlace::names; },
    .keys = kImageKeys,
    .write = keep_image,
};

}  // namespace cbuild::exporter
