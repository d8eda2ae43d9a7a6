"""The keys of a LLaMA-Factory-style YAML and what each may hold.

Sources: LLaMA-Factory's documented arguments (model, data, fine-tuning, generation, evaluation) and the training
arguments of Hugging Face Transformers, which it passes on. A choice that is not listed may be a newer release's.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Held = Literal["text", "whole", "number", "yes_no", "list", "mapping"]


class Known(msgspec.Struct, frozen=True):
    """`holds` are the kinds of values; a number takes a whole one too, and anything may be null, which is the default.

    `choices` are those that are known of a text, any where there are none; `secret`: whoever reads the file may use it.
    """

    holds: frozenset[Held]
    choices: tuple[str, ...] = ()
    secret: bool = False


def _of(*holds: Held) -> Known:
    return Known(frozenset(holds))


def _one_of(*choices: str) -> Known:
    return Known(frozenset({"text"}), choices)


_TEXT, _WHOLE, _NUMBER, _YES_NO = _of("text"), _of("whole"), _of("number"), _of("yes_no")
_NAMES = _of("text", "list")  # of several, comma-separated or a list
_TABLE = _of("mapping", "text")  # a mapping, JSON that holds one, or a file with it
_SECRET = Known(frozenset({"text"}), (), True)


def _all(known: Known, names: str) -> dict[str, Known]:
    return dict.fromkeys(names.split(), known)


_MODEL = {
    **_all(
        _TEXT,
        "model_name_or_path adapter_folder cache_dir model_revision offload_folder new_special_tokens_config "
        "export_dir export_quantization_dataset export_hub_model_id kt_optimize_rule sglang_lora_backend",
    ),
    **_all(_NAMES, "adapter_name_or_path add_tokens add_special_tokens"),
    **_all(
        _YES_NO,
        "use_fast_tokenizer resize_vocab split_special_tokens low_cpu_mem_usage shift_attn use_unsloth "
        "use_unsloth_gc enable_liger_kernel disable_gradient_checkpointing use_reentrant_gc upcast_layernorm "
        "upcast_lmhead_output train_from_scratch use_cache use_kv_cache use_v1_kernels print_param_status "
        "trust_remote_code double_quantization image_do_pan_and_scan crop_to_patches use_audio_in_video "
        "export_legacy_format vllm_enforce_eager use_kt",
    ),
    **_all(
        _WHOLE,
        "quantization_bit image_max_pixels image_min_pixels video_max_pixels video_min_pixels video_maxlen "
        "audio_sampling_rate export_size export_quantization_bit export_quantization_nsamples "
        "export_quantization_maxlen vllm_maxlen vllm_max_lora_rank sglang_maxlen sglang_tp_size cpu_infer "
        "chunk_size kt_maxlen",
    ),
    **_all(_NUMBER, "moe_aux_loss_coef video_fps vllm_gpu_util sglang_mem_fraction"),
    **_all(_TABLE, "vllm_config sglang_config"),
    **_all(_SECRET, "hf_hub_token ms_hub_token om_hub_token"),
    "rope_scaling": _one_of("none", "linear", "dynamic", "yarn", "llama3"),
    "flash_attn": _one_of("auto", "disabled", "sdpa", "fa2", "fa3"),
    "mixture_of_depths": _one_of("convert", "load"),
    "infer_backend": _one_of("huggingface", "vllm", "sglang", "ktransformers"),
    "infer_dtype": _one_of("auto", "float16", "bfloat16", "float32"),
    "init_special_tokens": _one_of("noise_init", "desc_init", "desc_init_w_noise"),
    "quantization_method": _one_of("bnb", "gptq", "awq", "aqlm", "quanto", "eetq", "hqq", "mxfp4", "fp8"),
    "quantization_type": _one_of("fp4", "nf4"),
    "quantization_device_map": _of("text", "mapping"),
    "export_device": _one_of("cpu", "auto"),
}

_DATA = {
    **_all(_NAMES, "dataset eval_dataset interleave_probs"),
    **_all(_TEXT, "template media_dir tool_format default_system tokenized_path"),
    **_all(
        _YES_NO,
        "train_on_prompt mask_history streaming overwrite_cache ignore_pad_token_for_loss "
        "eval_on_each_dataset packing neat_packing enable_thinking data_shared_file_system",
    ),
    **_all(
        _WHOLE, "cutoff_len buffer_size preprocessing_batch_size preprocessing_num_workers max_samples eval_num_beams"
    ),
    "dataset_dir": _of("text", "mapping"),
    "mix_strategy": _one_of("concat", "interleave_under", "interleave_over", "interleave_once"),
    "val_size": _NUMBER,
}

_FINETUNING = {
    "stage": _one_of("pt", "sft", "rm", "ppo", "dpo", "kto"),
    "finetuning_type": _one_of("lora", "oft", "freeze", "full"),
    "pref_loss": _one_of("sigmoid", "hinge", "ipo", "kto_pair", "orpo", "simpo"),
    "reward_model_type": _one_of("lora", "full", "api"),
    "galore_proj_type": _one_of("std", "reverse_std", "right", "left", "full"),
    "apollo_proj": _one_of("svd", "random"),
    "apollo_proj_type": _one_of("std", "right", "left"),
    "apollo_scale_type": _one_of("channel", "tensor"),
    "badam_mode": _one_of("layer", "ratio"),
    "badam_switch_mode": _one_of("ascending", "descending", "random", "fixed"),
    "badam_mask_mode": _one_of("adjacent", "scatter"),
    "swanlab_mode": _one_of("cloud", "local"),
    **_all(
        _NAMES,
        "freeze_trainable_modules freeze_extra_modules additional_target lora_target oft_target galore_target "
        "apollo_target ref_model_adapters reward_model_adapters",
    ),
    **_all(
        _TEXT, "ref_model reward_model swanlab_project swanlab_workspace swanlab_run_name swanlab_logdir"
    ),
    **_all(_SECRET, "swanlab_api_key swanlab_lark_webhook_url swanlab_lark_secret"),
    **_all(
        _YES_NO,
        "use_rslora use_dora pissa_init pissa_convert create_new_adapter ppo_score_norm ppo_whiten_rewards "
        "use_galore galore_layerwise use_apollo apollo_layerwise apollo_scale_front use_badam use_swanlab "
        "pure_bf16 use_llama_pro use_adam_mini use_muon use_dft_loss use_eaft_loss freeze_vision_tower "
        "freeze_multi_modal_projector freeze_language_model compute_accuracy disable_shuffling plot_loss "
        "include_effective_tokens_per_second",
    ),
    **_all(
        _WHOLE,
        "freeze_trainable_layers lora_alpha lora_rank pissa_iter oft_rank oft_block_size ppo_buffer_size "
        "ppo_epochs ref_model_quantization_bit reward_model_quantization_bit galore_rank "
        "galore_update_interval apollo_rank apollo_update_interval badam_start_block badam_switch_interval "
        "badam_verbose early_stopping_steps",
    ),
    **_all(
        _NUMBER,
        "module_dropout lora_dropout loraplus_lr_ratio loraplus_lr_embedding pref_beta pref_ftx "
        "pref_bco_weight dpo_label_smoothing kto_chosen_weight kto_rejected_weight simpo_gamma ppo_target "
        "ld_alpha galore_scale apollo_scale badam_update_ratio eaft_alpha",
    ),
}  # fmt: skip

_GENERATION = {
    **_all(_YES_NO, "do_sample skip_special_tokens"),
    **_all(_WHOLE, "top_k num_beams max_length max_new_tokens"),
    **_all(_NUMBER, "temperature top_p repetition_penalty length_penalty"),
}

_EVALUATION = {
    **_all(_TEXT, "task task_dir save_dir"),
    **_all(_WHOLE, "batch_size n_shot"),
    "lang": _one_of("en", "zh"),
}

_STRATEGY = _one_of("no", "steps", "epoch", "best")
_OLD_STRATEGY = Known(frozenset({"text", "yes_no"}), _STRATEGY.choices)  # a plain `no` is false in YAML 1.1

_TRAINING = {
    **_all(
        _TEXT,
        "output_dir run_name logging_dir hub_model_id hub_strategy hub_revision optim optim_target_modules "
        "metric_for_best_model tpu_metrics_debug fsdp_transformer_layer_cls_to_wrap ddp_backend "
        "torch_compile_backend torch_compile_mode torchdynamo trackio_space_id project mp_parameters "
        "push_to_hub_model_id push_to_hub_organization",
    ),
    **_all(_SECRET, "hub_token push_to_hub_token"),
    **_all(
        _YES_NO,
        "do_train do_eval do_predict overwrite_output_dir prediction_loss_only logging_first_step "
        "logging_nan_inf_filter save_safetensors save_on_each_node save_only_model "
        "restore_callback_states_from_checkpoint no_cuda use_cpu use_mps_device jit_mode_eval use_ipex bf16 "
        "fp16 fp16_full_eval bf16_full_eval tf32 dataloader_drop_last dataloader_pin_memory "
        "dataloader_persistent_workers remove_unused_columns load_best_model_at_end greater_is_better "
        "ignore_data_skip group_by_length ddp_find_unused_parameters ddp_broadcast_buffers "
        "skip_memory_metrics push_to_hub hub_private_repo hub_always_push gradient_checkpointing "
        "include_inputs_for_metrics eval_do_concat_batches auto_find_batch_size full_determinism ray_scope "
        "torch_compile include_tokens_per_second include_num_input_tokens_seen eval_on_start use_liger_kernel "
        "eval_use_gather_object average_tokens_across_devices predict_with_generate sortish_sampler "
        "enable_jit_checkpoint fp8 fp8_enable_fsdp_float8_all_gather dispatch_batches split_batches",
    ),
    **_all(
        _WHOLE,
        "per_device_train_batch_size per_device_eval_batch_size per_gpu_train_batch_size "
        "per_gpu_eval_batch_size gradient_accumulation_steps eval_accumulation_steps max_steps "
        "save_total_limit seed data_seed local_rank tpu_num_cores dataloader_num_workers "
        "dataloader_prefetch_factor past_index ddp_bucket_cap_mb ddp_timeout torch_empty_cache_steps "
        "fsdp_min_num_params generation_max_length generation_num_beams ray_num_workers",
    ),
    **_all(
        _NUMBER,
        "learning_rate weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm num_train_epochs "
        "warmup_ratio warmup_steps logging_steps save_steps eval_steps eval_delay label_smoothing_factor "
        "neftune_noise_alpha",
    ),
    **_all(_NAMES, "report_to label_names debug include_for_metrics length_column_name"),
    **_all(
        _TABLE,
        "lr_scheduler_kwargs accelerator_config parallelism_config fsdp_config deepspeed "
        "gradient_checkpointing_kwargs optim_args generation_config liger_kernel_config ray_init_kwargs "
        "resources_per_worker",
    ),
    **_all(_TEXT, "ray_run_name ray_storage_path ray_storage_filesystem fp8_backend"),
    "eval_strategy": _OLD_STRATEGY,
    "evaluation_strategy": _OLD_STRATEGY,
    "save_strategy": _OLD_STRATEGY,
    "logging_strategy": _OLD_STRATEGY,
    "fsdp": _of("text", "list", "yes_no"),
    "resume_from_checkpoint": _of("text", "yes_no"),
    "half_precision_backend": _one_of("auto", "apex", "cpu_amp"),
    "fp16_opt_level": _one_of("O0", "O1", "O2", "O3"),
    "fp16_backend": _one_of("auto", "apex", "cpu_amp"),
    "placement_strategy": _one_of("SPREAD", "PACK", "STRICT_SPREAD", "STRICT_PACK"),
    "log_level": _one_of("debug", "info", "warning", "error", "critical", "passive"),
    "log_level_replica": _one_of("debug", "info", "warning", "error", "critical", "passive"),
    "log_on_each_node": _YES_NO,
    "lr_scheduler_type": _one_of(
        "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt",
        "reduce_lr_on_plateau", "cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay",
    ),
    "ray_scope": _TEXT,
}  # fmt: skip

KEYS: dict[str, Known] = _MODEL | _DATA | _FINETUNING | _GENERATION | _EVALUATION | _TRAINING
