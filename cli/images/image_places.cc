// SPDX-License-Identifier: Apache-2.0
#include "cli/images/image_places.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/process/interrupts.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/store.h"
#include "engine/session.h"

namespace cbuild::cli {
namespace {

constexpr std::string_view kStoreSchemes[] = {"store://", "store:"};

bool names_store(const std::string& text) {
  return std::any_of(std::begin(kStoreSchemes), std::end(kStoreSchemes),
                     [&](std::string_view scheme) { return text.starts_with(scheme); });
}

/// A name without a scheme may be one of the store.
bool may_name_store(const std::string& text) { return names_store(text) || text.find("://") == std::string::npos; }

}  // namespace

struct ImagePlaces::Impl {
  Impl(const std::string& root, const RegistryFlags& given, const std::vector<std::string>& texts)
      : flags(given), interrupts(cancel) {
    const std::string place = root.empty() ? cache::default_root() : root;
    const bool there = sys::try_stat_at(AT_FDCWD, place, 0).has_value();
    const bool wanted = std::any_of(texts.begin(), texts.end(), there ? may_name_store : names_store);
    if (!wanted) return;
    session.emplace(engine::start_session(root));
    store.emplace(engine::store_options(*session));
  }

  exporter::PlaceServices services() {
    return {store ? &*store : nullptr, [this]() -> oci::registry::Client& {
              const std::lock_guard lock(mutex);
              if (!client) client = std::make_unique<oci::registry::Client>(flags.options(cancel));
              return *client;
            }};
  }

  const RegistryFlags flags;
  CancelSource cancel;
  Interrupts interrupts;
  std::optional<engine::Session> session;
  std::optional<cache::Store> store;
  std::mutex mutex;  // guards client
  std::unique_ptr<oci::registry::Client> client;
  std::vector<std::unique_ptr<exporter::ImagePlace>> places;
};

ImagePlaces::ImagePlaces(const std::string& root, const RegistryFlags& flags, const std::vector<std::string>& texts)
    : impl_(std::make_unique<Impl>(root, flags, texts)) {}
ImagePlaces::~ImagePlaces() = default;

exporter::ImagePlace& ImagePlaces::open(const std::string& text, exporter::PlaceUse use) {
  impl_->places.push_back(exporter::open_place(text, use, impl_->services()));
  return *impl_->places.back();
}

exporter::ImagePlace& ImagePlaces::read_target(const std::string& text) {
  return open(text, exporter::PlaceUse::change);
}

exporter::ImagePlace& ImagePlaces::write_like(const std::string& name, const exporter::ImagePlace& like) {
  if (name.find("://") != std::string::npos) return write(name);
  if (like.kind() == exporter::PlaceKind::registry) return write("docker://" + name);
  if (like.kind() == exporter::PlaceKind::store) return write("store://" + name);
  throw Error(ErrorCode::usage, cat(go_quote(name), ": ", like.name(), " is neither in the store nor in a registry"))
      .with_hint("cbuild copy takes any two places");
}

void ImagePlaces::settle() {
  if (impl_->store) impl_->store->make_durable();
}

std::vector<oci::Platform> wanted_platforms(const std::vector<std::string>& texts) {
  std::vector<oci::Platform> out;
  for (const std::string& text : texts)
    for (const std::string& part : split(text, ',')) {
      const auto platform = oci::parse_platform(trim(part));
      if (!platform) throw Error(ErrorCode::usage, cat("--platform: unknown platform ", go_quote(part)));
      out.push_back(*platform);
    }
  return out;
}

}  // namespace cbuild::cli
