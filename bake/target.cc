// SPDX-License-Identifier: Apache-2.0
#include "bake/target.h"

#include <algorithm>

namespace cbuild::bake {
namespace {

template <typename T>
void replace_if_set(std::optional<T>& value, const std::optional<T>& over) {
  if (over) value = over;
}

template <typename T>
void append_if_set(std::optional<std::vector<T>>& value, const std::optional<std::vector<T>>& over) {
  if (!over) return;
  if (!value) value.emplace();
  value->insert(value->end(), over->begin(), over->end());
}

void merge_settings(Settings& settings, const Settings& over) {
  for (const auto& [name, value] : over)
    if (value) settings[name] = value;
}

/// The last with each key, at the place of the first.
template <typename T, typename Key>
void keep_last(std::optional<std::vector<T>>& entries, Key key) {
  if (!entries) return;
  std::vector<T> out;
  for (T& entry : *entries) {
    const auto same = std::find_if(out.begin(), out.end(), [&](const T& other) { return key(other) == key(entry); });
    if (same == out.end())
      out.push_back(std::move(entry));
    else
      *same = std::move(entry);
  }
  *entries = std::move(out);
}

/// As buildx does it: the second of two equal entries gives its place to the last entry.
template <typename T>
void drop_equal(std::optional<std::vector<T>>& entries) {
  if (!entries) return;
  for (std::size_t i = 0; i < entries->size(); ++i)
    for (std::size_t j = i + 1; j < entries->size(); ++j) {
      if ((*entries)[i] != (*entries)[j]) continue;
      std::swap((*entries)[j], entries->back());
      entries->pop_back();
      break;
    }
}

void tidy(std::optional<std::vector<Attestation>>& entries) {
  keep_last(entries, [](const Attestation& entry) { return entry.type; });
}
void tidy(std::optional<std::vector<SecretEntry>>& entries) {
  keep_last(entries, [](const SecretEntry& entry) { return entry.id; });
}
void tidy(std::optional<std::vector<SshEntry>>& entries) {
  keep_last(entries, [](const SshEntry& entry) { return entry.id; });
}
void tidy(std::optional<std::vector<CacheEntry>>& entries) { drop_equal(entries); }
void tidy(std::optional<std::vector<OutputEntry>>& entries) { drop_equal(entries); }
void tidy(std::optional<Strings>& entries) {
  if (!entries) return;
  Strings out = without_repeats(*entries);
  std::erase(out, "");
  *entries = std::move(out);
}

template <typename T>
void merge_tidy(std::optional<std::vector<T>>& entries, const std::vector<T>& more) {
  if (!entries) {
    entries = more;
    return;
  }
  entries->insert(entries->end(), more.begin(), more.end());
  tidy(entries);
}

template <typename T>
void merge_if_set(std::optional<std::vector<T>>& entries, const std::optional<std::vector<T>>& more) {
  if (more) merge_tidy(entries, *more);
}

void merge_contexts(Target& target, const Target& over) {
  if (over.bases.file) target.bases.file = over.bases.file;
  if (over.context) {
    target.context = over.context;
    target.bases.context = over.bases.context;
    target.bases.context_target = over.bases.context_target;
  }
  for (const auto& [name, path] : over.contexts) {
    target.contexts[name] = path;
    target.bases.contexts.erase(name);
    if (const auto base = over.bases.contexts.find(name); base != over.bases.contexts.end())
      target.bases.contexts.insert(*base);
  }
}

void merge_resources(std::optional<ResourceLimits>& limits, const std::optional<ResourceLimits>& over) {
  if (!over) return;
  if (!limits) limits.emplace();
  replace_if_set(limits->memory, over->memory);
  replace_if_set(limits->memory_swap, over->memory_swap);
  replace_if_set(limits->cpu_shares, over->cpu_shares);
  replace_if_set(limits->cpu_period, over->cpu_period);
  replace_if_set(limits->cpu_quota, over->cpu_quota);
  replace_if_set(limits->cpuset_cpus, over->cpuset_cpus);
  replace_if_set(limits->cpuset_mems, over->cpuset_mems);
}

void merge_lists(Target& target, const Target& over) {
  append_if_set(target.annotations, over.annotations);
  append_if_set(target.policy, over.policy);
  append_if_set(target.no_cache_filter, over.no_cache_filter);
  append_if_set(target.ulimits, over.ulimits);
  append_if_set(target.entitlements, over.entitlements);
  merge_if_set(target.attest, over.attest);
  merge_if_set(target.secrets, over.secrets);
  merge_if_set(target.ssh, over.ssh);
  merge_if_set(target.cache_from, over.cache_from);
  target.inherits.insert(target.inherits.end(), over.inherits.begin(), over.inherits.end());
}

}  // namespace

Strings without_repeats(const Strings& items) {
  Strings out;
  for (const std::string& item : items)
    if (std::find(out.begin(), out.end(), item) == out.end()) out.push_back(item);
  return out;
}

void merge_entries(std::optional<std::vector<Attestation>>& entries, const std::vector<Attestation>& more) {
  merge_tidy(entries, more);
}
void merge_entries(std::optional<std::vector<CacheEntry>>& entries, const std::vector<CacheEntry>& more) {
  merge_tidy(entries, more);
}
void merge_entries(std::optional<std::vector<OutputEntry>>& entries, const std::vector<OutputEntry>& more) {
  merge_tidy(entries, more);
}
void merge_entries(std::optional<std::vector<SecretEntry>>& entries, const std::vector<SecretEntry>& more) {
  merge_tidy(entries, more);
}
void merge_entries(std::optional<std::vector<SshEntry>>& entries, const std::vector<SshEntry>& more) {
  merge_tidy(entries, more);
}

void merge(Target& target, const Target& over) {
  merge_contexts(target, over);
  merge_settings(target.args, over.args);
  merge_settings(target.labels, over.labels);
  merge_settings(target.extra_hosts, over.extra_hosts);
  merge_lists(target, over);
  merge_resources(target.resources, over.resources);
  replace_if_set(target.dockerfile, over.dockerfile);
  replace_if_set(target.dockerfile_inline, over.dockerfile_inline);
  replace_if_set(target.tags, over.tags);
  replace_if_set(target.stage, over.stage);
  replace_if_set(target.call, over.call);
  replace_if_set(target.platforms, over.platforms);
  replace_if_set(target.cache_to, over.cache_to);
  replace_if_set(target.outputs, over.outputs);
  replace_if_set(target.pull, over.pull);
  replace_if_set(target.no_cache, over.no_cache);
  replace_if_set(target.network, over.network);
  replace_if_set(target.shm_size, over.shm_size);
  if (!over.description.empty()) target.description = over.description;
}

void normalize(Target& target) {
  tidy(target.annotations);
  tidy(target.attest);
  tidy(target.tags);
  tidy(target.secrets);
  tidy(target.ssh);
  tidy(target.platforms);
  tidy(target.cache_from);
  tidy(target.cache_to);
  tidy(target.outputs);
  tidy(target.no_cache_filter);
  tidy(target.ulimits);
  if (target.network == "host") {
    if (!target.entitlements) target.entitlements.emplace();
    target.entitlements->push_back("network.host");
  }
  tidy(target.entitlements);
  std::erase_if(target.contexts, [](const auto& context) { return context.second.empty(); });
}

}  // namespace cbuild::bake
