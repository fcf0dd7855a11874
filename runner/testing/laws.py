"""The laws that every scenario follows: what the loop, the checkpoints and the wrappers rely on."""

from runner.testing import runs, shapes

LAWS = (
    shapes.the_parts_fit_the_data,
    shapes.functions_are_pure_and_leave_their_arguments_unharmed,
    shapes.the_state_holds_arrays_only_and_keeps_their_shapes_and_dtypes,
    shapes.no_two_leaves_of_the_first_state_share_a_buffer,
    shapes.steps_may_be_looped_and_mapped_over_keys,
    shapes.no_key_is_used_twice,
    shapes.nets_are_in_training_mode_in_a_step_alone,
    shapes.evaluation_returns_one_value_for_each_example,
    shapes.what_is_predicted_and_sampled_has_one_entry_for_each_example,
    runs.a_short_run_stays_finite,
    runs.all_steps_share_one_compiled_program,
    runs.a_step_draws_from_its_key_if_it_draws_at_all,
    runs.other_seeds_begin_with_other_parameters,
    runs.every_batch_of_a_step_matters,
    runs.every_parameter_changes,
    runs.a_nets_own_state_changes_in_training,
    runs.the_evaluation_of_an_example_does_not_depend_on_the_others,
    runs.logging_evaluation_and_saving_do_not_change_the_trajectory,
    runs.a_run_cut_in_two_by_a_checkpoint_equals_the_whole_bit_for_bit,
    runs.the_loss_falls_when_one_batch_is_repeated,
    runs.single_steps_equal_fused_ones_to_rounding,
    runs.two_devices_equal_one_to_rounding,
    runs.float32_is_precise_enough,
)
